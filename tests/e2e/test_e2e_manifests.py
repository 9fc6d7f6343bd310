"""The examples of `manifests/`, each applied as it stands; only their index, where they have one,
is replaced by one on the loopback.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import Home
from reconciler.plugin.testing import Upstream as Pages
from tests.support import faulty, npm
from tests.support.apt import archive, control
from tests.support.mirror import Done, Mirror, call, resource
from tests.support.upstream import Upstream, upstream
from tests.support.wheels import build_wheel

NGINX = control("nginx", "1.22", Depends="libc6 (>= 1)")
NEW = control("nginx", "1.24", Depends="libc6")
GAME = control("libgame-dev", Section="games")
EXAMPLES = Path(__file__).parents[2] / "manifests"
OLD: dict[str, Any] = {"upload-time": "2025-01-01T00:00:00Z"}


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as one:
        yield one


def example(name: str, index: Upstream | None, folder: Path) -> Mirror:
    """A copy of an example in a folder of its own, ready to be applied. Without `index` it asks
    nobody on the network.
    """
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    if index is not None:
        text = text.replace("index: pypi", f"url: {index.url}").replace(
            "https://index.example.org/simple/", index.url
        )
        assert index.url in text
    mirror = Mirror(folder)
    mirror.declare(text)
    return mirror


def refused(mirror: Mirror, name: str) -> dict[str, int]:
    """Return how many units each rule refuses, from a plan that has not been applied."""
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
    index.release("typing-extensions", "4.12.2", "4.13.0", **OLD)
    mirror = example("02-select.yaml", index, tmp_path)
    assert refused(mirror, "selected") == {
        "exclude": 1,
        "house-rules.deny": 1,
        "upload time unknown (house-rules.minAge 7d)": 1,
        "matches no include or file": 3,
    }
    mirror.applied()
    assert [name.partition("-py3")[0] for name in mirror.filenames("selected")] == [
        "idna-3.8",
        "mdurl-0.1.2",
        "packaging-26.0",
        "typing_extensions-4.12.2",
    ]


def test_what_a_requirements_file_asks_for_comes_in(index: Upstream, tmp_path: Path) -> None:
    index.release("idna", "3.5", "3.7", "3.8", "4.0")
    index.release("mdurl", "0.1.2")
    index.release("packaging", "24.0", "25.0")
    index.release("typing-extensions", "4.11.0", "4.12.2")
    mirror = example("11-requirements.yaml", index, tmp_path)
    (tmp_path / "11-requirements.txt").write_bytes((EXAMPLES / "11-requirements.txt").read_bytes())
    mirror.applied()
    names = [name.partition("-py3")[0] for name in mirror.filenames("required")]
    assert names == ["idna-3.7", "mdurl-0.1.2", "packaging-25.0", "typing_extensions-4.12.2"]


def test_dev_follows_and_prod_stays(index: Upstream, tmp_path: Path) -> None:
    index.release("mdurl", "0.1.1")
    index.release("typing-extensions", "4.15.0")
    mirror = example("03-versions.yaml", index, tmp_path)
    mirror.applied()
    text = mirror.manifest.read_text(encoding="utf-8")
    assert "version: latest # then a number" in text, "the second step pins what exists"
    mirror.declare(text.replace("version: latest # then a number", "version: 1 # a number"))
    mirror.applied()
    index.release("mdurl", "0.1.2")
    index.withdraw("typing-extensions", "4.15.0")
    mirror.applied()
    assert [mirror.get("publication", name)["status"]["version"] for name in ("dev", "prod")] == [
        2,
        1,
    ]
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
    text = mirror.manifest.read_text(encoding="utf-8").replace(
        "include: [mdurl, annotated-types]", 'everything: true\n        exclude: ["*"]'
    )
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
    assert (
        b"mdurl-0.1.2-py3-none-any.whl" in (tree / "simple" / "mdurl" / "index.html").read_bytes()
    )
    assert len(list(tree.glob("files/*/*/*.whl"))) == 2
    assert not mirror.pending()


def test_the_private_index_gets_credentials_that_nothing_else_sees(
    index: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.release("acme-tools", "1.0")
    index.release("other", "1.0")
    mirror = example("06-private-index.yaml", index, tmp_path)
    provide_secrets(tmp_path, monkeypatch)
    said = mirror.applied()
    assert mirror.filenames("private") == ["acme_tools-1.0-py3-none-any.whl"]
    expected = "Basic " + b64encode(b"user-of-the-index:open sesame").decode()
    assert {request.headers.get("authorization") for request in index.requests} == {expected}
    assert {request.headers.get("x-team") for request in index.requests} == {"data"}
    assert "open sesame" not in said
    assert not any(
        b"open sesame" in path.read_bytes()
        for path in Home(tmp_path / "home").root.rglob("*")
        if path.is_file()
    )


def test_the_files_of_a_folder_are_taken_by_name_and_size(tmp_path: Path) -> None:
    mirror = example("07-files.yaml", None, tmp_path)
    for path, size in (
        ("01.yaml", 3),
        ("06-private-index.yaml", 3),
        ("notes.txt", 3),
        ("old/02.yaml", 3),
        ("deep/er/03.yaml", 3),
        ("public/04.yaml", 3),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x" * size)
    assert refused(mirror, "examples") == {
        "no-giants.deny": 1,
        "exclude": 2,
        "matches no include": 1,
    }
    mirror.applied()
    assert mirror.filenames("examples") == ["01.yaml", "deep/er/03.yaml", "site.yaml"]
    assert not mirror.pending()


def test_what_the_files_example_offers_besides_works_too(tmp_path: Path) -> None:
    digest = sha256(b"image").hexdigest()
    with faulty.running(lambda item: item.on("/images/base.yaml", faulty.body(b"image"))) as server:
        lists = {
            "PULP_MANIFEST": f"base.yaml,{digest},5\n",
            "files.txt": f"base.yaml sha256={digest} size=5\n",
        }
        found = set()
        for name, text in lists.items():
            server.on(f"/images/{name}", faulty.body(text.encode()))
            mirror = example("07-files.yaml", None, tmp_path / name)
            written = mirror.manifest.read_text(encoding="utf-8")
            assert f"# url: https://files.example.org/images/{name} " in written
            mirror.declare(
                written.replace(
                    "url: ./", f"url: {server.url(f'/images/{name}')}\n  policy: on-demand", 1
                )
            )
            mirror.applied()
            assert not mirror.pending()
            found.add(mirror.version("examples"))
        assert len(found) == 1, "how upstream lists a file is no part of what a version holds"
        assert not server.asked("/images/base.yaml"), "on demand: nobody asked for it"


def test_part_of_an_apt_repository_comes_in_with_what_it_needs(tmp_path: Path) -> None:
    files = archive([NGINX, control("libc6"), control("nginx", "1.18"), GAME], suite="bookworm")
    files |= archive([NEW], suite="bookworm-updates")
    for path, body in files.items():
        (tmp_path / "archive" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "archive" / path).write_bytes(body)
    mirror = example("12-debian.yaml", None, tmp_path)
    text = mirror.manifest.read_text(encoding="utf-8")
    assert "keys: [keys/archive.asc]" in text
    mirror.declare(
        text.replace("https://deb.example.org/debian/", "./archive/").replace(
            "keys: [keys/archive.asc]", "trusted: true"
        )
    )
    mirror.applied()
    assert not mirror.pending()
    assert mirror.filenames("debian") == [
        "bookworm-updates/nginx_1.24_amd64",
        "bookworm/libc6_1.0_amd64",
        "bookworm/nginx_1.22_amd64",
    ]


def test_packages_of_a_registry_come_in_beside_our_own(tmp_path: Path) -> None:
    pages = Pages(
        npm.registry(
            npm.packument(
                "left-pad", npm.version("left-pad", "1.1.0"), npm.version("left-pad", "1.3.0")
            ),
            npm.packument("@example/pad", npm.version("@example/pad", "1.0.0")),
        )
    )
    with pages.served():
        mirror = example("13-npm.yaml", None, tmp_path)
        written = mirror.manifest.read_text(encoding="utf-8")
        mirror.declare(written.replace("https://npm.example.org/", pages.url))
        mirror.applied()
        assert not mirror.pending()
    held = ["@example/pad@1.0.0", "left-pad@1.3.0"]
    assert mirror.filenames("npm-mirror") == mirror.filenames("npm") == held


def test_prod_takes_over_what_it_is_told_to(index: Upstream, tmp_path: Path) -> None:
    index.release("mdurl", "0.0.9", "0.1.1")
    index.release("typing-extensions", "4.15.0")
    mirror = example("08-promotion.yaml", index, tmp_path)
    mirror.applied()
    first = ["mdurl-0.1.1-py3-none-any.whl", "typing_extensions-4.15.0-py3-none-any.whl"]
    assert mirror.filenames("prod") == first, "in the same run as `dev`"
    mirror.declare(
        mirror.manifest.read_text(encoding="utf-8").replace("version: latest", "version: 1")
    )
    mirror.applied()
    pinned = mirror.version("prod")
    index.release("mdurl", "0.1.2")
    mirror.applied()
    assert (mirror.version("dev")[0], mirror.version("prod")) == (2, pinned)
    mirror.declare(mirror.manifest.read_text(encoding="utf-8").replace("version: 1", "version: 2"))
    assert [change["key"] for change in mirror.changes("prod")["added"]] == [
        "mdurl-0.1.2-py3-none-any.whl"
    ]
    mirror.applied()
    mirror.declare(mirror.manifest.read_text(encoding="utf-8").replace("version: 2", "version: 1"))
    mirror.applied()
    assert mirror.filenames("prod") == first
    assert mirror.version("prod")[1] == pinned[1], "the same content has the same digest"
    assert index.downloads() == dict.fromkeys(
        [*first, "mdurl-0.0.9-py3-none-any.whl", "mdurl-0.1.2-py3-none-any.whl"], 1
    )


def test_what_is_uploaded_is_served_at_once_and_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = example("09-uploads.yaml", None, tmp_path)
    monkeypatch.setenv("REPORTS_TOKEN", "open sesame")
    mirror.applied()
    (tmp_path / "q3.pdf").write_bytes(b"good")
    (tmp_path / "q3.tmp").write_bytes(b"half")

    def ask(*words: str) -> Done:
        return call([*words, "--home", str(mirror.home.root)])

    taken = ask("upload", "reports", str(tmp_path / "q3.pdf"), "--field", "path=2026/q3.pdf")
    assert (taken.code, taken.out) == (0, "q3.pdf: version 1 holds `2026/q3.pdf`\n")
    assert mirror.get("publication", "reports")["status"]["version"] == 1
    assert 'excluded by "*.tmp"' in ask("upload", "reports", str(tmp_path / "q3.tmp")).err
    assert not mirror.pending(), "an apply leaves uploads alone"
    assert (
        ask("remove", "reports", "2026/q3.pdf").out == "version 2 no longer holds `2026/q3.pdf`\n"
    )
    assert mirror.filenames("reports") == []
    [_, first] = ask("history", "repository/reports", "-o", "json").document
    assert "@" in first["provenance"]["principal"]
    assert first["provenance"]["principal"] in ask("history", "repository/reports").out


def test_own_packages_are_uploaded_and_checked(tmp_path: Path) -> None:
    mirror = example("10-own-packages.yaml", None, tmp_path)
    mirror.applied()
    built, later = build_wheel("acme-app", "1.0"), "acme_app-1.1-py3-none-any.whl"
    for name in (built.filename, later):
        (tmp_path / name).write_bytes(built.content)
    at = ("--home", str(mirror.home.root))
    taken = call(["upload", "own", str(tmp_path / built.filename), *at])
    assert taken.out == f"{built.filename}: version 1 holds `acme-app/{built.filename}`\n"
    refused = call(["upload", "own", str(tmp_path / later), *at])
    assert (refused.code, "holds `acme_app-1.0.dist-info`" in refused.err) == (1, True)
    assert not mirror.pending(), "an apply leaves uploads alone"


def test_uploads_of_files_stand_beside_another_source_and_replace_nothing_of_it(
    tmp_path: Path,
) -> None:
    mirror = example("09-uploads.yaml", None, tmp_path)
    (tmp_path / "archive").mkdir()
    for number in range(
        300
    ):  # more than there are buckets of paths: names must not be owned by bucket
        (tmp_path / "archive" / f"{number}.txt").write_text(str(number), encoding="utf-8")
    text = mirror.manifest.read_text(encoding="utf-8")
    wanted = "    # - remote: {name: archive}  other sources may stand beside it\n"
    assert wanted in text
    mirror.declare(
        resource("Remote", "archive", "type: file\nurl: ./archive/"),
        text.replace(wanted, "    - remote: {name: archive}\n"),
    )
    mirror.applied()
    for name, content in (("new.pdf", "new"), ("7.txt", "not seven")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    at = ("--home", str(mirror.home.root))
    assert call(["upload", "reports", str(tmp_path / "new.pdf"), *at]).code == 0
    assert (
        "`7.txt` is there already: held by remote:archive"
        in call(["upload", "reports", str(tmp_path / "7.txt"), *at]).err
    )
    assert len(mirror.filenames("reports")) == 301
    assert not mirror.pending()


def provide_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the manifest refers to, where it refers to it."""
    authority = Path(__file__).parents[1] / "support" / "localhost.pem"
    monkeypatch.setenv("INDEX_USER", "user-of-the-index")
    for path, content in (
        ("secrets/index", b"open sesame\n"),
        ("certs/ca.pem", authority.read_bytes()),
    ):
        (folder / path).parent.mkdir()
        (folder / path).write_bytes(content)
