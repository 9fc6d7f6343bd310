"""The plugin API, each promise as one test: what the feature table calls A1 to A5, with plugins
that pip installed and real servers.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from reconciler import __version__
from reconciler.plugin import API_VERSION
from reconciler.plugin.importer import low_level
from reconciler.plugin.testing import Upstream
from reconciler_file.file_importer import FileImporter
from tests.support import mirror
from tests.support.clients import served
from tests.support.mirror import resource
from tests.support.outside import (
    NOTES,
    Desk,
    Installed,
    asked,
    fetched,
    importable,
)
from tests.support.source import ROOT
from tests.support.surface import compared, objection, plugin_surface
from tests.support.uploading import FORM, file_part, form, text_part

JSON_SCHEMAS = "json-schemas"


FREE = "guard: {maxRemovals: 100%}"


def ours_imported(files: Iterable[Path]) -> set[str]:
    """Modules of ours that these files import from, at whatever depth."""
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module or "")
    return {name for name in found if name.partition(".")[0] == "reconciler"}


def test_a1_the_plugin_api_is_one_package_with_a_version_of_its_own(tmp_path: Path) -> None:
    assert mirror.call(["--version"]).out == f"reconciler {__version__}\n"
    assert mirror.call(["plugins"]).err == f"plugin API {API_VERSION}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+", API_VERSION), "semver"
    assert __version__ != API_VERSION
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n### {API_VERSION}\n" in changes.partition("\n## Plugin API\n")[2]

    recorded = json.loads(
        (ROOT / "tests" / "golden" / "plugin_surface.json").read_text(encoding="utf-8")
    )
    current = plugin_surface()
    assert recorded == {"version": API_VERSION, "names": current}
    released = str(Version(f"{Version(API_VERSION).major}.{Version(API_VERSION).minor}.1"))
    assert (
        objection(
            compared(current, {**current, "Importer.forecast": "method(self)"}), released, released
        )
        is not None
    )

    assert mirror.call(["plugins", "new", JSON_SCHEMAS, str(tmp_path / "new")]).code == 0
    for plugin in (*(ROOT / "plugins").glob("*/reconciler_*"), tmp_path / "new" / "src"):
        assert ours_imported(plugin.rglob("*.py")) == {"reconciler.plugin"}, plugin.name
    assert ours_imported([NOTES]) == {"reconciler.plugin"}
    assert ours_imported((tmp_path / "new" / "tests").rglob("*.py")) == {
        "reconciler.plugin.testing"
    }


LETTERS = {"aunt.txt": b"Dear aunt", "draft-bank.txt": b"Dear bank"}


TOKEN = "a-token-that-nobody-guesses"


def web_folder(folders: Mapping[str, Mapping[str, bytes]]) -> dict[str, bytes]:
    """What the type `pages` reads."""
    index = {
        folder: [
            {"name": name, "sha256": sha256(body).hexdigest(), "size": len(body)}
            for name, body in pages.items()
        ]
        for folder, pages in folders.items()
    }
    return {
        "index.json": json.dumps(index).encode(),
        **{
            f"{folder}/{name}": body
            for folder, pages in folders.items()
            for name, body in pages.items()
        },
    }


def stored_files(desk: Desk) -> list[str]:
    return sorted(str(path) for path in (desk.home / "store").rglob("*") if path.is_file())


def test_a2_one_plugin_from_outside_syncs_publishes_takes_uploads_and_copies(
    desk: Desk, installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = Upstream(web_folder({"letters": LETTERS}))
    taking = "access: {read: [public], upload: [{token: {env: TEAM_TOKEN}}]}"
    monkeypatch.setenv("TEAM_TOKEN", TOKEN)
    with upstream.served():
        site = (
            resource("Remote", "up", f"type: pages\nurl: {upstream.url}\nretries: 0"),
            resource(
                "Repository",
                "team",
                f"type: pages\nsources: [{{remote: {{name: up}}}}, {{upload: {{}}}}]\n{FREE}",
            ),
            resource("Publication", "team", f"repository: team\npath: team\n{taking}"),
        )
        desk.applied(*site)
    desk.folder.joinpath("uncle.txt").write_bytes(b"Dear uncle")
    assert desk.ask("upload", "team", "uncle.txt", "--field", "folder=family").code == 0
    with served(desk.home, PYTHONPATH=str(installed.notes()), TEAM_TOKEN=TOKEN) as url:
        assert fetched(f"{url}team/letters/aunt.txt") == b"Dear aunt", "synced and published"
        assert fetched(f"{url}team/family/uncle.txt") == b"Dear uncle", (
            "uploaded by the command line"
        )
        known, stranger = (
            {FORM[0]: FORM[1], "Authorization": f"Bearer {word}"} for word in (TOKEN, "a-guess")
        )
        generic = form(text_part("folder", "family"), file_part("niece.txt", b"Dear niece"))
        assert asked(f"{url}team/upload/", generic, stranger)[0] == 401
        status, _ = asked(f"{url}team/upload/", generic, known)
        assert status in (200, 201)
        assert fetched(f"{url}team/family/niece.txt") == b"Dear niece", (
            "uploaded over HTTP, the generic way"
        )
        status, _ = asked(
            f"{url}team/post/", form(file_part("draft-king.txt", b"Dear king")), known
        )
        assert status in (200, 201)
        assert fetched(f"{url}team/post/draft-king.txt") == b"Dear king", (
            "and in the plugin's own way"
        )

    before = stored_files(desk)
    with upstream.served():
        copying = resource(
            "Repository", "prod", f"type: pages\nsources: [{{repository: {{name: team}}}}]\n{FREE}"
        )
        moved = resource("Remote", "up", f"type: pages\nurl: {upstream.url}\nretries: 0")
        desk.applied(
            moved,
            *site[1:],
            copying,
            resource("Publication", "prod", "repository: prod\npath: prod"),
        )
    added = desk.ask("diff", "repository/prod", "0", "1", "-o", "json").document["added"]
    assert sorted(one["key"] for one in added) == [
        "aunt.txt",
        "niece.txt",
        "uncle.txt",
    ], "its own `copy` leaves drafts behind"
    units = {
        path
        for path in set(stored_files(desk)) - set(before)
        if Path(path).read_bytes().startswith(b"Dear")
    }
    assert not units, "no bytes are copied"
    with served(desk.home, PYTHONPATH=str(installed.notes()), TEAM_TOKEN=TOKEN) as url:
        assert fetched(f"{url}prod/family/niece.txt") == b"Dear niece"
        assert asked(f"{url}prod/post/draft-king.txt")[0] == 404


def manifest_tree(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files beside the `PULP_MANIFEST` that lists them."""
    lines = [f"{name},{sha256(body).hexdigest()},{len(body)}\n" for name, body in files.items()]
    return {"PULP_MANIFEST": "".join(lines).encode(), **files}


FIRST = {"a.iso": b"first a", "docs/b.txt": b"b", "docs/c.txt": b"c"}


SECOND = {"a.iso": b"second a", "docs/b.txt": b"b", "new/d.txt": b"d"}


def turn_to(upstream: Upstream, files: Mapping[str, bytes]) -> None:
    for path, body in manifest_tree(files).items():
        upstream.put(path, body)
    for path in upstream.pages.keys() - manifest_tree(files).keys():
        upstream.remove(path)


def mirror_of(type: str, upstream: Upstream) -> tuple[str, ...]:
    """A mirror of the tree by this plugin, exported to `www/<type>`."""
    return (
        resource("Remote", type, f"type: {type}\nurl: {upstream.url}PULP_MANIFEST\nretries: 0"),
        resource(
            "Repository", type, f"type: {type}\nsources: [{{remote: {{name: {type}}}}}]\n{FREE}"
        ),
        resource(
            "Publication",
            type,
            f"repository: {type}\npath: {type}\nexports: [{{directory: {{path: www/{type}}}}}]",
        ),
    )


def content(plan: Any, name: str) -> dict[str, list[str]]:
    """What a plan does to a repository's content, by keys."""
    [found] = [
        change["content"]
        for change in plan["changes"]
        if (change["kind"], change["name"]) == ("Repository", name)
    ]
    return {
        word: [entry["key"] for entry in found[word]] for word in ("added", "removed", "changed")
    } | {"failures": found["failures"]}


def test_a3_the_low_level_api_end_to_end_with_the_example_plugin(
    desk: Desk, installed: Installed
) -> None:
    upstream = Upstream(manifest_tree(FIRST))
    with upstream.served(), importable(installed.example()):
        from reconciler_example.low_importer import ExampleImporter

        assert low_level(ExampleImporter)
        assert Path(inspect.getfile(ExampleImporter)).is_relative_to(installed.example()), (
            "it is the one that pip installed"
        )
        desk.applied(*mirror_of("example", upstream))
        turn_to(upstream, SECOND)
        planned = content(desk.ask("plan", "site.yaml", "--format", "json").document, "example")
        assert planned == {
            "added": ["new/d.txt"],
            "removed": ["docs/c.txt"],
            "changed": ["a.iso"],
            "failures": [],
        }, "the record is the plan"
        upstream.put("PULP_MANIFEST", b"cut short")
        broken = desk.apply()
        assert broken.code == 1
        assert "line 1 is not `name,sha256,size`" in broken.out + broken.err, (
            "a failure is no absence"
        )
        turn_to(upstream, SECOND)
        assert desk.apply().code == 0
        assert desk.ask("plan", "site.yaml", "--detailed-exitcode").code == 0
        history = desk.ask("history", "repository/example", "-o", "json").document
    assert [(one["added"], one["removed"], one["changed"]) for one in history] == [
        (1, 1, 1),
        (3, 0, 0),
    ]
    assert {one["provenance"]["plugin"]["id"] for one in history} == {"example"}
    with served(desk.home, PYTHONPATH=str(installed.example())) as url:
        for path, body in SECOND.items():
            assert fetched(f"{url}example/{path}") == body
        assert sorted(fetched(f"{url}example/PULP_MANIFEST").splitlines()) == sorted(
            manifest_tree(SECOND)["PULP_MANIFEST"].splitlines()
        )
        assert asked(f"{url}example/docs/c.txt")[0] == 200, "it has its grace"


def exported(desk: Desk, name: str) -> dict[str, bytes]:
    """A published tree, as files."""
    root = desk.folder / "www" / name
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_a4_the_high_level_api_does_the_same_with_a_fraction_of_the_code(
    desk: Desk, installed: Installed
) -> None:
    upstream = Upstream(manifest_tree(FIRST))
    with upstream.served(), importable(installed.example()):
        desk.declare(*mirror_of("file", upstream), *mirror_of("example", upstream))
        for files in (FIRST, SECOND, {"only.txt": b"left"}):
            turn_to(upstream, files)
            plan = desk.ask("plan", "site.yaml", "--format", "json").document
            assert content(plan, "file") == content(plan, "example")
            assert desk.apply().code == 0
            assert exported(desk, "file") == exported(desk, "example")
            assert {
                path: body for path, body in exported(desk, "file").items() if path in files
            } == files
        histories = [
            desk.ask("history", f"repository/{name}", "-o", "json").document
            for name in ("file", "example")
        ]
        numbers = [
            [
                (version["number"], version["added"], version["removed"], version["changed"])
                for version in versions
            ]
            for versions in histories
        ]
        assert numbers[0] == numbers[1]
        assert len(numbers[0]) == 3
    assert not low_level(FileImporter)
    high, low = (
        ROOT / "plugins" / path
        for path in (
            "file/reconciler_file/file_importer.py",
            "example/reconciler_example/low_importer.py",
        )
    )
    lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in (high, low)]
    assert lines[0] < 120
    assert lines[0] < lines[1], "three formats in less code than one takes the low-level way"
