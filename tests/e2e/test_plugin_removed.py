"""A plugin goes while repositories still use it: what there is says so, stays readable and served,
and goes on once the plugin is back.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from reconciler.plugin.testing import Upstream
from tests.support.clients import served
from tests.support.mirror import resource
from tests.support.outside import NOTES, NOTES_POINTS, Desk, Installed, fetched, importable

UP = resource("Remote", "up", "type: notes\nurl: https://notes.example.org/")
PUBLICATION = resource("Publication", "team", "repository: team\npath: team")
BOARD = resource("Publication", "board", "repository: team\npath: board\npublisher: board")


def repository(groups: str) -> str:
    return resource(
        "Repository", "team", f"type: notes\nsources: [{{remote: {{name: up, groups: {groups}}}}}]"
    )


def unavailable(desk: Desk, kind: str, name: str = "team") -> list[tuple[str, str, str]]:
    conditions = desk.get(kind, name)["status"]["conditions"]
    return [
        (condition["status"], condition["reason"], condition["message"])
        for condition in conditions
        if condition["type"] == "PluginAvailable"
    ]


def ready(desk: Desk, kind: str) -> dict[str, str]:
    """The last column of the table, by name."""
    _, *lines = desk.ask("get", kind).out.splitlines()
    return {line.split()[0]: line.split()[-1] for line in lines}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk at which nothing is installed yet."""
    made = Desk(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTES_JOURNAL", str(made.journal))
    return made


def test_content_of_a_removed_plugin_stays_served_and_syncs_again_once_it_is_back(
    bench: Desk, installed: Installed
) -> None:
    with importable(installed.notes()):
        bench.applied(UP, repository("{a: [one]}"), PUBLICATION, BOARD)
        assert unavailable(bench, "repository") == []
        assert ready(bench, "repository") == {"team": "True"}
    bench.told()

    missing = [("False", "NotInstalled", "no installed plugin provides the {} `{}`")]
    for kind, name, (sort, id) in (
        ("repository", "team", ("importer", "notes")),
        ("publication", "team", ("publisher", "notes")),
        ("publication", "board", ("publisher", "board")),
    ):
        assert unavailable(bench, kind, name) == [
            (status, reason, text.format(sort, id)) for status, reason, text in missing
        ]
        described = bench.ask("describe", f"{kind}/{name}")
        assert described.code == 0
        assert "PluginAvailable" in described.out
        assert f"no installed plugin provides the {sort} `{id}`" in described.out
    assert ready(bench, "repository") == {"team": "False"}
    assert ready(bench, "publication") == {"team": "False", "board": "False"}
    assert ready(bench, "remote") == {"up": "True"}

    [version] = bench.ask("history", "repository/team", "-o", "json").document
    assert (version["number"], version["added"]) == (1, 1)
    [entry] = bench.ask("diff", "repository/team", "0", "1", "-o", "json").document["added"]
    assert (entry["type"], entry["group"], entry["key"]) == ("notes.note", "a", "one")
    with served(bench.home, warns=True) as url:
        assert fetched(f"{url}team/a/") == b"one"
        assert fetched(f"{url}board/a/") == b"one"
    refused = bench.apply()
    assert refused.code == 1
    assert "site.yaml:" in refused.out + refused.err
    assert "`notes`" in refused.out + refused.err
    assert bench.told() == []

    with importable(installed.notes()):
        assert unavailable(bench, "repository") == []
        assert bench.ask("plan", "site.yaml", "--detailed-exitcode").code == 0, (
            "nothing is to be done"
        )
        bench.told()
        bench.applied(UP, repository("{a: [one, two]}"), PUBLICATION, BOARD)
        told = bench.told()
        assert not [line for line in told if line["call"].endswith(("added", "removed"))], (
            "it never left"
        )
        assert [line["note"] for line in told if line["call"] == "sync"] == [
            {"by": "importer", "calls": 1}
        ], "its notes are still there"
        assert bench.get("repository", "team")["status"]["latestVersion"]["number"] == 2
        assert ready(bench, "publication") == {"team": "True", "board": "True"}


def test_a_plugin_that_was_disabled_by_an_upgrade_says_why(
    bench: Desk, installed: Installed
) -> None:
    text = NOTES.read_text(encoding="utf-8").replace('API = ">=2.0,<3"', 'API = ">=1000"')
    newer = installed.module("reconciler-notes", text, NOTES_POINTS, version="2.0")
    with importable(installed.notes()):
        bench.applied(UP, repository("{a: [one]}"), PUBLICATION)
    with importable(newer):
        [(status, reason, message)] = unavailable(bench, "repository")
        assert (status, reason) == ("False", "Disabled")
        assert message.startswith(
            "the importer `notes` of reconciler-notes is disabled: it supports plugin API >=1000,"
            " this is "
        )
        [(_, reason, message)] = unavailable(bench, "publication")
        assert (reason, message[: len("the publisher `notes`")]) == (
            "Disabled",
            "the publisher `notes`",
        )
        assert ready(bench, "repository") == {"team": "False"}
    with importable(installed.notes()):
        assert ready(bench, "repository") == {"team": "True"}


def test_two_ecosystems_of_one_distribution_in_one_apply_and_half_of_it_disabled(
    bench: Desk, installed: Installed
) -> None:
    """The kind: one distribution advertises several plugins, each of which is judged by itself."""
    text = NOTES.read_text(encoding="utf-8").replace("[PAGE], API", '[PAGE], ">=1000"')
    half = installed.module("reconciler-notes", text, NOTES_POINTS, version="3.0")
    upstream = Upstream(folder_of(b"one"))
    with upstream.served():
        folders = web_folders(upstream)
        with importable(installed.notes()):
            assert set(states(bench).values()) == {"enabled"}
            bench.applied(UP, repository("{a: [one]}"), PUBLICATION, *folders)
        upstream.put("index.json", folder_of(b"two")["index.json"])
        upstream.put("f/page", b"two")
        with importable(half):
            disabled = {name for name, state in states(bench).items() if state != "enabled"}
            assert disabled == {"importer/pages", "publisher/pages"}
            bench.declare(UP, repository("{a: [one, two]}"), PUBLICATION, *folders)
            refused = bench.apply()
            assert refused.code == 1
            assert "site.yaml:" in refused.err
            assert "`pages` of reconciler-notes is disabled: it supports plugin API >=1000" in (
                refused.err
            )
            bench.applied(UP, repository("{a: [one, two]}"), PUBLICATION)
            assert ready(bench, "repository") == {"team": "True", "web": "False"}
            assert bench.get("repository", "team")["status"]["latestVersion"]["number"] == 2
            with served(bench.home, warns=True) as url:
                assert fetched(f"{url}web/f/page") == b"one"
                assert fetched(f"{url}team/a/") == b"one two"
    assert states(bench) == {}
    assert ready(bench, "repository") == {"team": "False", "web": "False"}


def states(desk: Desk) -> dict[str, str]:
    """Return the states of the plugins of `reconciler-notes`, by kind and ID."""
    return {
        f"{plugin['kind']}/{plugin['id']}": plugin["state"]
        for plugin in desk.ask("plugins", "-o", "json").document
        if plugin["distribution"] == "reconciler-notes"
    }


def folder_of(body: bytes) -> dict[str, bytes]:
    """Return a web folder of one page, as `pages` reads it."""
    listed = {"name": "page", "sha256": sha256(body).hexdigest(), "size": len(body)}
    return {"index.json": json.dumps({"f": [listed]}).encode(), "f/page": body}


def web_folders(upstream: Upstream) -> tuple[str, str, str]:
    """Return the manifests of the second ecosystem."""
    return (
        resource("Remote", "folders", f"type: pages\nurl: {upstream.url}"),
        resource("Repository", "web", "type: pages\nsources: [{remote: {name: folders}}]"),
        resource("Publication", "web", "repository: web\npath: web"),
    )
