"""Plan, apply, plan = empty; planning leaves no trace; the order of anything that comes in changes
nothing that comes out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from tests.support.mirror import Mirror, export, publication, remote, repository, resource
from tests.support.soundness import check_sound
from tests.support.upstream import Upstream, upstream


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0", "1.1", "2.0rc1")
        served.release("beta", "1.0")
        served.release("gamma", "0.1", yanked="broken")
        yield served


def rules(text: str) -> str:
    return resource("Filter", "rules", f"type: python\nglobal: true\n{text}")


def test_plan_apply_plan_is_empty(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(
        tmp_path,
        remote(index.url),
        rules('deny: ["alpha==1.1"]'),
        repository(),
        publication(more=export("public")),
    )
    assert site.plan("--detailed-exitcode").code == 2
    site.applied()
    assert site.plan("--detailed-exitcode").code == 0
    assert site.applied().endswith("Apply: 0 done, 4 unchanged.\n")
    assert site.version()[0] == 1


def test_a_plan_that_changes_nothing_asks_conditionally_and_reads_no_group(
    index: Upstream, tmp_path: Path
) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), publication())
    site.applied()
    index.forget()
    site.applied()
    assert sorted(request.path for request in index.requests) == [
        "/simple/",
        "/simple/alpha/",
        "/simple/beta/",
        "/simple/gamma/",
    ]
    assert all("if-none-match" in request.headers for request in index.requests)


@pytest.mark.parametrize(
    "words", [(), ("--format", "json"), ("--offline",), ("--prune", "--allow-destroy", "--verbose")]
)
def test_a_plan_creates_nothing_but_the_page_cache(
    words: tuple[str, ...], index: Upstream, tmp_path: Path
) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), publication(more=export("public")))
    site.plan(*words)
    assert all(name.startswith("cache") for name in site.files())
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["site.yaml"]


def test_a_plan_on_a_site_that_exists_changes_no_file(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), publication(more=export("public")))
    site.applied()
    index.release("alpha", "3.0")

    def everything() -> dict[str, bytes]:
        return {
            str(p): p.read_bytes()
            for p in tmp_path.rglob("*")
            if p.is_file() and "cache" not in p.parts
        }

    before = everything()
    assert site.plan("--detailed-exitcode").code == 2
    assert everything() == before


def test_an_offline_plan_asks_nobody_and_says_what_it_does_not_know(
    index: Upstream, tmp_path: Path
) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), publication())
    assert "unknown" in site.plan("--offline").out
    site.plan()
    index.forget()
    assert "+ alpha 1.0" in site.plan("--offline").out
    assert index.requests == []


def test_the_order_of_documents_and_of_upstream_changes_no_byte(
    index: Upstream, tmp_path: Path
) -> None:
    documents = [
        remote(index.url),
        rules('deny: ["alpha==1.1", "beta<1"]'),
        repository(),
        publication(),
    ]
    results = set()
    for number, order in enumerate(list(permutations(documents))[::5]):
        index.turn()
        site = Mirror(tmp_path / f"{number}", *order)
        plan = site.plan("--format", "json").out
        site.applied()
        status = site.get("publication", "team")["status"]
        results.add((plan, site.version(), status["digest"], status["versionDigest"]))
    assert len(results) == 1


def test_the_order_of_rules_and_sources_groups_changes_no_version(
    index: Upstream, tmp_path: Path
) -> None:
    includes = ("alpha", "beta", "gamma")
    digests = set()
    for number, order in enumerate(list(permutations(includes))[::2]):
        site = Mirror(
            tmp_path / f"{number}",
            remote(index.url),
            repository(sources=[f"name: up, include: [{', '.join(order)}]"]),
        )
        site.applied()
        digests.add(site.version())
    assert len(digests) == 1


def test_a_change_and_its_reverse_give_the_same_digest_under_a_new_number(
    index: Upstream, tmp_path: Path
) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), publication(more=export("public")))
    site.applied()
    first = site.version()
    index.say("alpha", "1.0", yanked="oops")
    site.applied()
    index.say("alpha", "1.0")
    site.applied()
    assert site.version() == (3, first[1])
    assert not site.pending()
    check_sound(site.home, tmp_path / "public")
    assert index.downloads() == dict.fromkeys(index.downloads(), 1)


def test_a_version_knows_who_made_it(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(tmp_path, remote(index.url), repository())
    digest = site.plan("--format", "json").document["digest"]
    site.applied()
    with site.home.database() as database:
        reader = database.reader()
        [record] = reader.versions(reader.actual_state().repositories["team"].id)
    assert record.provenance["planDigest"] == digest
    assert record.provenance["plugin"]["id"] == "python"


def test_a_publication_that_turns_to_another_repository_shows_that_one(
    index: Upstream, tmp_path: Path
) -> None:
    """Both are at version 1: numbers alone do not tell what has to be rendered."""
    one, two = (
        repository("one", sources=["name: up, include: [alpha]"]),
        repository("two", sources=["name: up, include: [beta]"]),
    )

    def showing(name: str) -> str:
        return resource(
            "Publication", "shown", f"repository: {name}\npath: shown\n{export('public')}"
        )

    site = Mirror(tmp_path, remote(index.url), one, two, showing("one"))
    site.applied()
    site.declare(remote(index.url), one, two, showing("two"))
    site.applied()
    assert not site.pending()
    names = {path.parent.name for path in (tmp_path / "public").resolve().rglob("index.html")}
    assert names == {"simple", "beta"}
    check_sound(site.home, tmp_path / "public")


def test_a_pinned_publication_stays_and_comes_back(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), publication())
    site.applied()
    number, digest = site.version()
    index.release("alpha", "3.0")
    site.declare(remote(index.url), repository(), publication(more=f"version: {digest}"))
    site.applied()
    assert site.version()[0] == 2
    assert site.get("publication", "team")["status"]["version"] == number
    site.declare(remote(index.url), repository(), publication(more="version: 7"))
    done = site.apply()
    assert done.code == 1
    assert "has no version `7`" in done.out
    assert site.get("publication", "team")["status"]["version"] == number


def test_what_changed_is_said_in_json_as_in_text(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), publication())
    site.applied()
    index.release("beta", "2.0")
    index.withdraw("alpha", "1.0")
    index.say("alpha", "1.1", yanked="why")
    document = json.loads(site.plan("--format", "json").out)
    content = next(
        change["content"] for change in document["changes"] if change["kind"] == "Repository"
    )
    assert [
        [unit["key"] for unit in content[name]] for name in ("added", "removed", "changed")
    ] == [
        ["beta-2.0-py3-none-any.whl"],
        ["alpha-1.0-py3-none-any.whl"],
        ["alpha-1.1-py3-none-any.whl"],
    ]
    text = site.plan().out
    for row in (
        "+ beta 2.0",
        "- alpha 1.0",
        "~ alpha 1.1",
        'yanked upstream: "why"',
        "version 1 -> 2",
    ):
        assert row in text
