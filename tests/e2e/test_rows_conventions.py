"""The conventions of plugins, each as one test: what the feature table calls P1 to P10, through the
command line, with plugins that pip installed.
"""

from __future__ import annotations

import json
import shutil
from itertools import groupby
from pathlib import Path

from tests.e2e.conventions import GUARD, UP, publication, repository, version
from tests.support.mirror import resource
from tests.support.outside import NOTES, Desk, Installed, importable, terminal


def test_p1_validate_config_on_first_use_and_every_change_and_nothing_stored(desk: Desk) -> None:
    desk.applied(UP, repository(), publication())
    assert [call for call in desk.calls() if call.startswith("validate")] == [
        "validate importer",
        "validate publisher",
    ], "on first use"
    desk.applied(UP, repository(), publication())
    assert not [call for call in desk.calls() if call.startswith("validate")], "nothing changed"
    desk.applied(UP, repository(keys="groups: {a: [one], b: [two]}, colour: red"), publication())
    assert [call for call in desk.calls() if call.startswith("validate")] == [
        "validate importer"
    ], "the importer's configuration changed"
    desk.applied(
        UP,
        repository(keys="groups: {a: [one], b: [two]}, colour: red"),
        publication(more="title: News"),
    )
    assert [call for call in desk.calls() if call.startswith("validate")] == [
        "validate publisher"
    ], "the publisher's did"

    desk.folder.joinpath("reconciler.toml").write_text(
        '[plugins.notes]\nink = "black"\n', encoding="utf-8"
    )
    desk.applied(
        UP,
        repository(keys="groups: {a: [one], b: [two]}, colour: red"),
        publication(more="title: News"),
    )
    assert [call for call in desk.calls() if call.startswith("validate")] == [
        "validate importer",
        "validate publisher",
    ], "the installation's did"

    before = desk.get("publication", "team")
    desk.declare(
        UP, repository(keys="groups: {c: [three]}, colour: purple"), publication(more="title: team")
    )
    refused = desk.apply()
    assert refused.code == 1
    assert "a title says more than the repository's name" in refused.out + refused.err
    after = desk.get("publication", "team")
    assert [after["spec"], *(after["status"][key] for key in ("version", "digest"))] == [
        before["spec"],
        *(before["status"][key] for key in ("version", "digest")),
    ]
    assert desk.get("repository", "team")["spec"]["sources"][0]["remote"]["colour"] == "purple", (
        "one that holds notes may be; others go on"
    )

    desk.declare(
        UP,
        repository(keys="groups: {c: [three]}, colour: purple"),
        repository("new", keys="colour: purple"),
        publication("new", of="new"),
    )
    desk.told()
    refused = desk.apply()
    assert refused.code == 1
    assert (
        "importer `notes` refuses the configuration of repository/new" in refused.out + refused.err
    )
    assert "an empty repository cannot be purple" in refused.out + refused.err
    assert "bring in some notes first" in refused.out + refused.err
    assert desk.recorded("repository") == ["team"]
    assert desk.recorded("publication") == ["team"]
    assert not [one for one in desk.work() if one.startswith("new/")]
    assert not [
        line
        for line in desk.told()
        if line["repository"] == "new" and not line["call"].startswith("validate")
    ]


def test_p2_the_call_configuration_is_override_over_repository_over_plugin_level(
    desk: Desk,
) -> None:
    def colours(*words: str) -> set[tuple[str, str]]:
        desk.told()
        assert desk.apply(*words).code == 0
        return {(line["colour"], line["ink"]) for line in desk.told() if line["call"] == "sync"}

    plain, coloured = (
        (UP, repository(), publication()),
        (UP, repository(keys="groups: {a: [one]}, colour: green"), publication()),
    )
    desk.declare(*plain)
    assert colours() == {("grey", "blue")}, (
        "the entry point's dictionary, and not the model's default"
    )
    desk.folder.joinpath("reconciler.toml").write_text(
        '[plugins.notes]\ncolour = "yellow"\n', encoding="utf-8"
    )
    assert colours() == {("yellow", "blue")}, "the installation's settings lie over it, key by key"
    desk.folder.joinpath("reconciler.toml").unlink()
    desk.folder.joinpath("plugins.d").mkdir()
    desk.folder.joinpath("plugins.d", "notes.conf").write_text(
        '{"colour": "orange"}', encoding="utf-8"
    )
    assert colours() == {("orange", "blue")}, "a file of its own does the same"
    desk.declare(*coloured)
    assert colours() == {("green", "blue")}, "the manifest goes before"
    assert colours(
        "--override", "repository/team.colour=red", "--override", "publication/team.title=Draft"
    ) == {("red", "blue")}
    recorded = json.dumps(
        [desk.get("repository", "team")["spec"], desk.get("publication", "team")["spec"]]
    )
    assert "green" in recorded
    assert "red" not in recorded
    assert "Draft" not in recorded
    assert colours() == {("green", "blue")}, "an override is for one run"


def test_p3_hooks_tell_of_plugins_that_are_added_and_removed(desk: Desk) -> None:
    def hooks() -> list[str]:
        return [
            f"{line['call']} {line['repository']}"
            for line in desk.told()
            if line["call"].endswith(("added", "removed"))
        ]

    desk.declare(UP, repository(), publication())
    assert desk.ask("plan", "site.yaml").code == 0
    assert hooks() == [], "a plan is no use"
    assert desk.apply().code == 0
    assert hooks() == ["importer_added team", "publisher_added team"]
    desk.applied(
        UP,
        repository(keys="groups: {a: [one], b: [two, three]}"),
        publication(),
        publication("again", more="publisher: notes"),
    )
    assert hooks() == [], "the same plugins as before"
    desk.applied(UP, repository(), publication(), publication("again", more="publisher: board"))
    assert hooks() == ["publisher_added team"], "another publisher"
    desk.applied(UP, repository(), publication(), words=("--prune", "--allow-destroy"))
    assert hooks() == ["publisher_removed team"]

    misdeeds = "groups: {a: [one]}, misdeeds: [fail importer_removed]"
    desk.declare(
        UP, repository(), publication(), repository("bad", keys="misdeeds: [fail importer_added]")
    )
    failed = desk.apply()
    assert failed.code == 1
    assert "importer_added was told to fail" in failed.out + failed.err
    assert desk.recorded("repository") == ["team"], "a failing `added` leaves everything as it was"
    assert not [one for one in desk.work() if one.startswith("bad/")]
    desk.applied(UP, repository(keys=misdeeds), publication())
    desk.told()
    desk.declare(UP)
    gone = desk.apply("--prune", "--allow-destroy")
    assert "importer_removed was told to fail" in gone.out + gone.err, "it is reported"
    assert hooks() == ["publisher_removed team", "importer_removed team"]
    assert desk.recorded("repository") == [], "and does not block the removal"

    silent = resource("Repository", "web", f"type: pages\nsources: [{{upload: {{}}}}]\n{GUARD}")
    desk.applied(silent, publication("web", of="web"))
    desk.applied(words=("--prune", "--allow-destroy"))
    assert desk.recorded("repository") == [], "plugins without hooks come and go"


def test_p4_metadata_names_a_plugin_and_a_missing_type_definition_stops_the_start(
    desk: Desk, installed: Installed
) -> None:
    desk.applied(UP, repository(), publication())
    listed = {(one["kind"], one["id"]): one for one in desk.ask("plugins", "-o", "json").document}
    notes = listed["importer", "notes"]
    assert (notes["types"], notes["api"], notes["state"]) == (["notes.note"], ">=2.0,<3", "enabled")
    assert notes["displayName"] == "Notes in manifests"

    text = NOTES.read_text(encoding="utf-8").replace(
        'NOTE, PAGE = "notes.note", "pages.page"', 'NOTE, PAGE = "lost.note", "lost.page"'
    )
    lost = installed.module(
        "reconciler-lost",
        text.replace('Metadata("notes"', 'Metadata("lost"'),
        {"importers": {"lost": "notes_importer"}},
    )
    rival = installed.module(
        "reconciler-rival",
        NOTES.read_text(encoding="utf-8"),
        {"importers": {"notes": "notes_importer"}},
    )
    for site, words in (
        (lost, ["`lost`", "`lost.note`", "reconciler-lost", "no installed plugin defines"]),
        (rival, ["`notes`", "reconciler-rival", "reconciler-notes", "two plugins claim"]),
    ):
        with importable(site):
            for command in (
                ("get", "repository"),
                ("plan", "site.yaml"),
                ("validate", "site.yaml"),
            ):
                stopped = desk.ask(*command)
                assert stopped.code == 1
                assert stopped.out == ""
                assert [word for word in words if word not in stopped.err] == []
            told = desk.ask("plugins", "-o", "json")
            assert told.code == 1, "the one command that tells what is wrong"
            assert [one["reason"] for one in told.document if one["reason"].startswith("refused: ")]
    assert desk.ask("get", "repository").code == 0


CONDUITS = {
    "validate importer": ["counts"],
    "validate publisher": ["counts"],
    "sync": ["save_unit", "set_scratchpad"],
    "upload": ["set_scratchpad"],
    "copy": ["set_scratchpad", "source"],
    "publish": ["changed_groups", "set_scratchpad"],
}


def site_of(misdeed: str) -> tuple[str, ...]:
    """Two repositories, one of which copies the other, and a publication; every plugin does
    `misdeed`.
    """
    given = f"misdeeds: [{misdeed}]"
    copying = f"type: notes\nsources: [{{repository: {{name: team, {given}}}}}]\n{GUARD}"
    sources = (
        f"sources: [{{remote: {{name: up, groups: {{a: [one]}}, {given}}}}}, {{upload:"
        f" {{{given}}}}}]"
    )
    return (
        UP,
        resource("Repository", "team", f"type: notes\n{sources}\n{GUARD}"),
        resource("Repository", "copied", copying),
        publication(more=given),
    )


def test_p5_a_conduit_is_for_one_operation_on_one_repository_and_refuses_afterwards(
    desk: Desk,
) -> None:
    desk.folder.joinpath("sent.txt").write_text("sent", encoding="utf-8")
    desk.applied(*site_of("keep"))
    assert desk.ask("upload", "team", "sent.txt").code == 0
    told = [line for line in desk.told() if line["call"] in CONDUITS]
    assert {line["call"]: line["offers"] for line in told} == CONDUITS, (
        "each operation has a kind of its own; checking cannot write"
    )
    assert {line["repository"] for line in told if line["call"] == "copy"} == {"copied"}, (
        "a conduit is bound to its repository"
    )
    for kind in (
        "ValidateConduit",
        "SyncConduit",
        "CopyConduit",
        "PublishConduit",
        "UploadConduit",
    ):
        message = f"a plugin used its `{kind}` after its call had returned"
        desk.declare(*site_of(f"reuse {kind}"))
        refused = desk.apply()
        assert refused.code == 1
        for where in ("repository/team", "repository/copied", "publication/team"):
            assert any(message in condition["message"] for condition in conditions(desk, where)), (
                kind,
                where,
            )
    late = desk.ask("upload", "team", "sent.txt")
    assert late.code == 1
    assert "after its call had returned" in late.err
    desk.applied(*site_of("nothing"))
    assert version(desk) == 2, "what went wrong changed nothing"


def conditions(desk: Desk, ref: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = desk.get(*ref.split("/"))["status"]["conditions"]
    return found


def test_p9_plugins_are_installed_by_entry_points_several_from_one_distribution(
    installed: Installed, tmp_path: Path
) -> None:
    site = installed.notes()
    tmp_path.joinpath("site.yaml").write_text(
        "---\n".join((UP, repository(), publication(more="publisher: board"))), encoding="utf-8"
    )
    absent = terminal(tmp_path, "validate", "site.yaml")
    assert absent.code == 1
    assert "`notes`" in absent.err
    listed = terminal(tmp_path, "plugins", "-o", "json", sites=(site,)).document
    ours = sorted(
        (item["kind"], item["id"], item["version"], item["state"], item["origin"])
        for item in listed
        if item["distribution"] == "reconciler-notes"
    )
    assert ours == sorted(
        (kind, id, "1.0", "enabled", f"entry point reconciler_notes:{function}")
        for kind, id, function in (
            ("content-type", "notes.note", "note"),
            ("content-type", "pages.page", "page"),
            ("importer", "notes", "notes_importer"),
            ("importer", "pages", "pages_importer"),
            ("publisher", "board", "board_publisher"),
            ("publisher", "notes", "notes_publisher"),
            ("publisher", "pages", "pages_publisher"),
        )
    )
    done = terminal(tmp_path, "apply", "site.yaml", "--home", "home", sites=(site,))
    assert done.code == 0, done.err
    journal = [
        json.loads(line)
        for line in tmp_path.joinpath("journal").read_text(encoding="utf-8").splitlines()
    ]
    assert {line["ink"] for line in journal if line["call"] == "sync"} == {"blue"}, (
        "the callable's second answer is the plugin-level configuration"
    )

    odd = (
        "from reconciler_notes import NoteImporter\ndef needs(argument): ...\ndef alone(): return"
        " NoteImporter\ndef other(): return str, {}\n"
    )
    wrong = installed.module(
        "reconciler-odd",
        odd,
        {"importers": {"odd-needs": "needs", "odd-alone": "alone", "odd-other": "other"}},
    )
    listed = terminal(tmp_path, "plugins", "-o", "json", sites=(site, wrong)).document
    reasons = {
        item["id"]: item["reason"] for item in listed if item["distribution"] == "reconciler-odd"
    }
    assert "its entry point fails" in reasons["odd-needs"]
    assert reasons["odd-alone"] == "its entry point does not return (class, dict)"
    assert reasons["odd-other"] == "its class does not derive from reconciler.plugin.Importer"
    assert [item["state"] for item in listed if item["distribution"] == "reconciler-notes"] == [
        "enabled"
    ] * 7


def test_p10_plugins_on_trial_are_loaded_from_a_folder_with_their_conf(tmp_path: Path) -> None:
    for group, module in (
        ("importers", "importer.py"),
        ("publishers", "publisher.py"),
        ("content_types", "content_type.py"),
    ):
        folder = tmp_path / "trial" / group / "notes"
        folder.mkdir(parents=True)
        shutil.copy(NOTES, folder / module)
    tmp_path.joinpath("trial", "importers", "notes", "any.conf").write_text(
        '{"colour": "brown"}', encoding="utf-8"
    )
    tmp_path.joinpath("site").mkdir()
    tmp_path.joinpath("site", "site.yaml").write_text(
        "---\n".join((UP, repository(), publication())), encoding="utf-8"
    )
    assert terminal(tmp_path, "validate", "site").code == 1, "off by default"
    tmp_path.joinpath("reconciler.toml").write_text(
        'plugin_directory = "trial"\n', encoding="utf-8"
    )
    done = terminal(tmp_path, "apply", "site", "--home", "home")
    assert done.code == 0, done.err
    journal = [
        json.loads(line)
        for line in tmp_path.joinpath("journal").read_text(encoding="utf-8").splitlines()
    ]
    assert {line["colour"] for line in journal if line["call"] == "sync"} == {"brown"}
    listed = [
        one
        for one in terminal(tmp_path, "plugins", "-o", "json").document
        if one["distribution"] == "(directory)"
    ]
    by_kind = {
        kind: sorted(one["id"] for one in ones)
        for kind, ones in groupby(listed, key=lambda item: item["kind"])
    }
    assert by_kind == {
        "content-type": ["notes.note", "pages.page"],
        "importer": ["notes", "pages"],
        "publisher": ["board", "notes", "pages"],
    }
    assert {item["version"] for item in listed} == {""}
    assert all("trial/" in item["origin"] for item in listed)
