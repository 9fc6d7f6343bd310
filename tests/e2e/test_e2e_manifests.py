"""The examples of `manifests/`, each applied as it stands; only their index is replaced by one on the loopback."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import Home
from tests.support.mirror import Done, Mirror
from tests.support.upstream import Upstream, upstream

EXAMPLES = Path(__file__).parents[2] / "manifests"
OLD: dict[str, Any] = {"upload-time": "2025-01-01T00:00:00Z"}


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as one:
        yield one


def example(name: str, index: Upstream, folder: Path) -> Mirror:
    """A copy of an example in a folder of its own, ready to be applied."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    text = text.replace("index: pypi", f"url: {index.url}").replace("https://index.example.org/simple/", index.url)
    assert index.url in text
    mirror = Mirror(folder)
    mirror.declare(text)
    return mirror


def refused(mirror: Mirror, name: str) -> dict[str, int]:
    """Reasons and numbers, from a plan that has not been applied."""
    counts: dict[str, int] = mirror.changes(name)["refused"]["counts"]
    return counts


def test_every_example_is_applied_here() -> None:
    names = {path.name for path in EXAMPLES.glob("*.yaml")}
    source = Path(__file__).read_text(encoding="utf-8")
    assert names
    assert {name for name in names if f'example("{name}"' not in source} == set()


def test_the_mirror_holds_what_it_includes(index: Upstream, tmp_path: Path) -> None:
    index.release("annotated-types", "0.6", "0.7")
    index.release("idna", "3.18", "3.20")
    index.release("markdown-it-py", "4.2.0", "5.0")
    index.release("mdurl", "0.1.2", "1.0rc1")
    index.release("packaging", "25.0", "26.3")
    index.release("typing-extensions", "4.16.0")
    index.release("unwanted", "1.0")
    mirror = example("01-mirror.yaml", index, tmp_path)
    mirror.applied()
    stems = [name.removesuffix("-py3-none-any.whl") for name in mirror.filenames("starter")]
    expected = [
        "annotated_types-0.7",
        "idna-3.20",
        "markdown_it_py-4.2.0",
        "mdurl-0.1.2",
        "mdurl-1.0rc1",
        "packaging-26.3",
        "typing_extensions-4.16.0",
    ]
    assert stems == expected
    assert mirror.get("publication", "starter")["status"]["version"] == 1
    assert not mirror.pending()


def test_the_selection_says_why_each_file_stays_out(index: Upstream, tmp_path: Path) -> None:
    index.release("packaging", "24.0", "25.0", "26.0", "27.0rc1", **OLD)
    index.release("idna", "3.6", "3.8", **OLD)
    index.release("idna", "3.21")
    index.release("mdurl", "0.1.2", **OLD)
    index.release("types-toml", "0.10", **OLD)
    mirror = example("02-select.yaml", index, tmp_path)
    reasons = refused(mirror, "selected")
    assert reasons.pop('excluded by "packaging==25.0"') == 1
    assert reasons.pop('denied by "idna<3.7" (house-rules.deny)') == 1
    assert reasons.pop("matches no include") == 2
    assert sum(number for reason, number in reasons.items() if "house-rules.minAge" in reason) == 1
    mirror.applied()
    assert [name.partition("-py3")[0] for name in mirror.filenames("selected")] == ["idna-3.8", "mdurl-0.1.2", "packaging-26.0"]


def test_dev_follows_and_prod_stays(index: Upstream, tmp_path: Path) -> None:
    index.release("mdurl", "0.1.1")
    index.release("typing-extensions", "4.15.0")
    mirror = example("03-versions.yaml", index, tmp_path)
    mirror.applied()
    index.release("mdurl", "0.1.2")
    index.withdraw("typing-extensions", "4.15.0")
    mirror.applied()
    assert [mirror.get("publication", name)["status"]["version"] for name in ("dev", "prod")] == [2, 1]
    assert len(mirror.filenames("team")) == 3, "additive: what upstream withdraws stays"
    assert mirror.get("repository", "team")["metadata"]["labels"] == {"team": "data"}


def test_the_guards_stop_mass_removal_and_name_the_setting(index: Upstream, tmp_path: Path) -> None:
    versions = [f"0.{minor}" for minor in range(12)]
    index.release("mdurl", *versions)
    index.release("annotated-types", "0.7.0")
    mirror = example("04-guards.yaml", index, tmp_path)
    mirror.applied()
    for version in versions[:4]:
        index.withdraw("mdurl", version)
    stopped = mirror.apply()
    assert stopped.code == 1
    assert "4 of its 13 distributions (31%), more than `guard.maxRemovals` (10%)" in stopped.out
    assert "--allow-destroy" in stopped.out
    assert mirror.version("careful")[0] == 1
    assert mirror.apply("--allow-destroy").code == 0
    assert mirror.version("careful")[0] == 2
    assert "preventDestroy" in emptied(mirror).out
    assert mirror.version("careful")[0] == 2


def emptied(mirror: Mirror) -> Done:
    """An apply that would take everything out, with the flag that overrides every other guard."""
    text = mirror.manifest.read_text(encoding="utf-8").replace("include: [mdurl, annotated-types]", 'exclude: ["*"]')
    mirror.declare(text)
    done = mirror.apply("--allow-destroy")
    assert done.code == 1
    return done


def test_the_export_is_a_plain_tree_beside_the_manifest(index: Upstream, tmp_path: Path) -> None:
    index.release("mdurl", "0.1.2")
    index.release("annotated-types", "0.7.0")
    mirror = example("05-export.yaml", index, tmp_path)
    mirror.applied()
    tree = tmp_path / "public" / "team"
    assert tree.is_symlink()
    assert b"mdurl-0.1.2-py3-none-any.whl" in (tree / "simple" / "mdurl" / "index.html").read_bytes()
    assert len(list(tree.glob("files/*/*/*.whl"))) == 2
    assert not mirror.pending()


def test_the_private_index_gets_credentials_that_nothing_else_sees(index: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.release("acme-tools", "1.0")
    index.release("other", "1.0")
    mirror = example("06-private-index.yaml", index, tmp_path)
    provide_secrets(tmp_path, monkeypatch)
    said = mirror.applied()
    assert mirror.filenames("private") == ["acme_tools-1.0-py3-none-any.whl"]
    expected = "Basic " + b64encode(b"mirror:open sesame").decode()
    assert {request.headers.get("authorization") for request in index.requests} == {expected}
    assert {request.headers.get("x-team") for request in index.requests} == {"data"}
    assert "open sesame" not in said
    assert not any(b"open sesame" in path.read_bytes() for path in Home(tmp_path / "home").root.rglob("*") if path.is_file())


def provide_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the manifest refers to, where it refers to it."""
    authority = Path(__file__).parents[1] / "support" / "localhost.pem"
    monkeypatch.setenv("INDEX_USER", "mirror")
    for path, content in (("secrets/index", b"open sesame\n"), ("certs/ca.pem", authority.read_bytes())):
        (folder / path).parent.mkdir()
        (folder / path).write_bytes(content)
