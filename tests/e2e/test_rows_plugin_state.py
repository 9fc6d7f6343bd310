"""Rows of the table of conventions: state between calls, scratchpads, working directories."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

from tests.e2e.conventions import UP, publication, repository, version
from tests.support.clients import ended
from tests.support.outside import Desk, Installed

KIT = """
from hashlib import sha256
import json

from reconciler.plugin.testing import Conformance, Subject, Upstream
from reconciler_notes import PageImporter, page, pages_publisher


class Remembering(PageImporter):
    seen = []

    async def read(self, conduit, group):
        self.seen.append(group.name)
        return await super().read(conduit, group)


def index(**folders):
    lists = {
        name: [{"name": "x", "sha256": sha256(body).hexdigest(), "size": len(body)}]
        for name, body in folders.items()
    }
    files = {f"{name}/x": body for name, body in folders.items()}
    return {"index.json": json.dumps(lists).encode(), **files}


def change(upstream):
    for path, body in index(a=b"1", b=b"3").items():
        upstream.put(path, body)


class TestForgetting(Conformance):
    importer = PageImporter

    def subject(self):
        upstream = Upstream(index(a=b"1", b=b"2"))
        return Subject(lambda: (self.importer, {}), upstream, [page], pages_publisher, [change])


class TestRemembering(TestForgetting):
    importer = Remembering
"""


def test_p6_plugins_keep_no_state_between_calls(desk: Desk, installed: Installed) -> None:
    for keys in ("groups: {a: [one]}", "groups: {a: [one, two]}"):
        desk.applied(UP, repository(keys=keys), publication())
    told = desk.told()
    assert {line["call"] for line in told} >= {
        "validate importer",
        "importer_added",
        "sync",
        "publish",
    }
    assert [line for line in told if line["knows"]] == [], (
        "what one call sets on its instance, no other call finds"
    )

    desk.folder.joinpath("test_kit.py").write_text(KIT, encoding="utf-8")
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "-k",
        "no_state_is_kept",
        "test_kit.py",
    ]
    _, said = ended(words, desk.folder, folder=desk.folder, PYTHONPATH=str(installed.notes()))
    assert re.search(r"^1 failed, 1 passed", said, re.MULTILINE), said
    assert re.search(
        r"Remembering\S* changed during a sync: plugins keep no state between calls", said
    ), said


def test_p7_scratchpads_are_plain_json_one_for_each_plugin_of_a_repository_and_one_shared(
    desk: Desk,
) -> None:
    def notes(call: str, name: str = "team") -> list[tuple[Any, Any]]:
        return [
            (line["note"], line["shared"])
            for line in desk.told()
            if line["call"] == call and line["repository"] == name
        ]

    documents = (
        UP,
        repository(),
        publication(),
        repository("other"),
        publication("other", of="other"),
    )
    desk.declare(*documents)
    assert desk.ask("plan", "site.yaml").code == 0
    desk.told()
    assert desk.apply().code == 0
    told = desk.told()
    assert {
        line["call"]: (line["note"], line["shared"])
        for line in told
        if line["repository"] == "team"
    } == {
        "validate importer": (None, None),
        "validate publisher": (None, None),
        "importer_added": (None, None),
        "publisher_added": (None, None),
        "sync": (None, None),
        "publish": (None, ["importer"]),
    }, "a plan has noted nothing; the publisher sees the shared note, and not the importer's own"

    assert desk.ask("plan", "site.yaml").code == 0
    desk.told()
    assert desk.apply().code == 0
    assert notes("sync") == [({"by": "importer", "calls": 1}, ["importer", "publisher"])], (
        "notes last; what a plan notes is dropped"
    )
    assert desk.apply("--override", "publication/other.title=Other").code == 0
    assert notes("publish", "other") == [
        ({"by": "publisher", "calls": 1}, ["importer", "publisher"])
    ], "each repository has notes of its own"

    desk.declare(
        UP, repository(keys="groups: {a: [three]}, misdeeds: [note object]"), *documents[2:]
    )
    refused = desk.apply()
    assert refused.code == 1
    assert (
        "a scratchpad is plain JSON: `.seen[0].when` is of the type `datetime`"
        in refused.out + refused.err
    )
    assert version(desk) == 1
    with sqlite3.connect(desk.home / "state.db") as database:
        rows = database.execute(
            "SELECT owner, scratchpad FROM repository_plugin JOIN resource ON id = repository_id"
            " WHERE name = 'team' AND scratchpad IS NOT NULL"
        ).fetchall()
    database.close()
    assert {owner: json.loads(text) for owner, text in rows} == {
        "importer:notes": {"by": "importer", "calls": 3},
        "publisher:notes": {"by": "publisher", "calls": 1},
        "repository": ["importer", "publisher"],
    }


def test_p8_a_working_directory_for_each_plugin_of_a_repository_goes_with_it(desk: Desk) -> None:
    documents = (
        UP,
        repository(),
        publication(),
        publication("board", more="publisher: board"),
        repository("other"),
    )
    desk.declare(*documents)
    assert desk.ask("plan", "site.yaml").code == 0
    while_planning = {line["folder"] for line in desk.told()}
    assert while_planning
    assert not [
        folder
        for folder in while_planning
        if Path(folder).exists() or Path(folder).is_relative_to(desk.home)
    ]
    assert desk.apply().code == 0
    assert desk.work() == [
        "other/importer-notes",
        "team/importer-notes",
        "team/publisher-board",
        "team/publisher-notes",
    ]
    lasting = {
        line["call"]: Path(line["folder"])
        for line in desk.told()
        if line["repository"] == "team" and line["call"].endswith("_added")
    }
    assert lasting["importer_added"] == desk.home / "work" / "team" / "importer-notes"
    assert (lasting["importer_added"] / "importer_added.txt").exists(), (
        "what is written there stays"
    )
    desk.applied(*documents[:3], documents[4], words=("--prune", "--allow-destroy"))
    assert desk.work() == ["other/importer-notes", "team/importer-notes", "team/publisher-notes"]
    desk.applied(UP, documents[4], words=("--prune", "--allow-destroy"))
    assert desk.work() == ["other/importer-notes"]
    assert not (desk.home / "work" / "team").exists()
