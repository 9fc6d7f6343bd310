"""Life cycle hooks: when they run, what a failing one leaves behind, and what goes with a plugin
that is no longer used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.database import Writer
from reconciler.plugin import PluginFault, PublishConduit
from reconciler.plugin.registry import Registry
from tests.support.advertised import Shelf, shelf
from tests.support.hooked import (
    Behaviour,
    Hooked,
    outcome,
    plugins,
    publication,
    render,
    repository,
    resource,
)


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def shelves() -> Iterator[Shelf]:
    with shelf() as found:
        yield found


@pytest.fixture
def site(tmp_path: Path, shelves: Shelf, behaviour: Behaviour) -> Hooked:
    return Hooked(
        tmp_path,
        plugins(shelves, behaviour, importers=("notes", "other"), publishers=("notes", "other")),
    )


def test_hooks_run_once_before_anything_else_and_with_the_configuration(
    site: Hooked, behaviour: Behaviour
) -> None:
    site.applied(repository(more="colour: blue"), publication(more="colour: green"))
    hooks = [("importer_added", "team", "blue"), ("publisher_added", "team", "green")]
    assert [call for call in behaviour.journal if call[0].endswith("_added")] == hooks
    assert site.owners() == ["importer:notes", "publisher:notes"]
    assert site.folders() == ["team/importer-notes", "team/publisher-notes"]
    behaviour.methods()
    site.applied(
        repository(more="colour: black", groups="a: [three]"), publication(more="colour: white")
    )
    assert [name for name in behaviour.methods() if not name.startswith("validate")] == []


def test_a_repository_without_sources_has_an_importer_too(
    site: Hooked, behaviour: Behaviour
) -> None:
    site.applied(repository(plain=True))
    assert [name for name in behaviour.methods() if name.endswith("added")] == ["importer_added"]
    assert site.owners() == ["importer:notes"]


@pytest.mark.parametrize(
    "error", [ValueError("no disk"), SystemExit("no disk"), PluginFault("no disk", hint="buy one")]
)
def test_an_importer_that_fails_to_begin_leaves_the_repository_as_it_was(
    site: Hooked, behaviour: Behaviour, error: BaseException
) -> None:
    behaviour.raising["importer_added"] = error
    site.declare(repository(), publication(), repository("free", type="notes", plain=True))
    behaviour.raising["importer_added"] = error
    report = site.apply()
    failed = outcome(report, "repository/team")
    assert failed.result == "failed"
    assert failed.message.startswith("`importer_added` of `notes`")
    assert "no disk" in failed.message
    assert outcome(report, "publication/team").result == "blocked"
    assert site.recorded() == []
    assert site.folders() == []
    behaviour.raising.clear()
    behaviour.methods()
    assert not site.apply().failed
    assert site.recorded() == ["publication/team", "repository/free", "repository/team"]
    assert behaviour.methods().count("importer_added") == 2


def test_a_publisher_that_fails_to_begin_is_the_failure_of_its_publication(
    site: Hooked, behaviour: Behaviour
) -> None:
    behaviour.raising["publisher_added"] = ValueError("no disk")
    site.declare(repository(), publication())
    report = site.apply()
    assert outcome(report, "publication/team").message.startswith(
        "`publisher_added` of `notes` failed: ValueError: no disk"
    )
    assert outcome(report, "repository/team").result == "done"
    assert site.recorded() == ["repository/team"]
    assert site.folders() == ["team/importer-notes"]
    assert site.owners() == ["importer:notes"]


def test_a_second_publication_of_a_publisher_adds_nothing_and_keeps_it_when_the_first_goes(
    site: Hooked, behaviour: Behaviour
) -> None:
    site.applied(repository(), publication("one"))
    behaviour.methods()
    site.applied(repository(), publication("one"), publication("two"))
    site.applied(repository(), publication("two"), prune=True)
    assert [
        name for name in behaviour.methods() if "er_" in name and not name.startswith("validate")
    ] == []
    report = site.applied(repository(), prune=True)
    assert behaviour.methods() == ["publisher_removed"]
    assert outcome(report, "publication/two").message == "removed"
    assert site.owners() == ["importer:notes"]
    assert site.folders() == ["team/importer-notes"]


def test_what_a_repository_leaves_goes_with_it(site: Hooked, behaviour: Behaviour) -> None:
    site.applied(
        repository(more="colour: blue"),
        publication(more="colour: green"),
        repository("other", plain=True),
    )
    behaviour.methods()
    site.declare(repository("other", plain=True))
    behaviour.raising["importer_removed"] = SystemExit(3)
    report = site.apply(prune=True)
    assert behaviour.journal == [
        ("publisher_removed", "team", "green"),
        ("importer_removed", "team", "blue"),
    ]
    assert not report.failed
    assert outcome(report, "publication/team").message == "removed"
    assert outcome(report, "repository/team").message.startswith(
        "removed; `importer_removed` of `notes` failed: SystemExit: 3"
    )
    assert site.recorded() == ["repository/other"]
    assert site.folders() == ["other/importer-notes"]
    assert not (site.home.root / "work" / "team").exists()


def test_another_publisher_takes_over_and_the_notes_of_the_first_go(
    site: Hooked, behaviour: Behaviour
) -> None:
    def noting(conduit: PublishConduit) -> None:
        render(conduit)
        conduit.set_scratchpad({"seen": 1})

    behaviour.rendering = noting
    site.applied(repository(), publication())
    assert site.note("publisher:notes") == {"seen": 1}
    behaviour.methods()
    behaviour.raising["publisher_removed"] = OSError("gone")
    report = site.applied(repository(), publication(more="publisher: other"))
    assert [name for name in behaviour.methods() if name.startswith("publisher")] == [
        "publisher_added",
        "publisher_removed",
    ]
    assert (
        "; `publisher_removed` of `notes` failed: OSError: gone"
        in outcome(report, "publication/team").message
    )
    assert site.owners() == ["importer:notes", "publisher:other"]
    assert site.note("publisher:notes") is None
    assert site.folders() == ["team/importer-notes", "team/publisher-other"]


def test_a_publisher_stays_while_its_successor_fails(site: Hooked, behaviour: Behaviour) -> None:
    site.applied(repository(), publication())
    behaviour.raising["publish"] = ValueError("oops")

    def failing(conduit: PublishConduit) -> None:
        raise ValueError("oops")

    behaviour.rendering = failing
    behaviour.methods()
    site.declare(repository(), publication(more="publisher: other"))
    report = site.apply()
    assert outcome(report, "publication/team").message.startswith(
        "publisher `other` of publication/team failed: ValueError: oops"
    )
    assert "publisher_removed" not in behaviour.methods()
    assert "publisher:notes" in site.owners()
    behaviour.rendering = None
    assert not site.apply().failed
    assert behaviour.methods() == ["publisher_removed"]
    assert site.owners() == ["importer:notes", "publisher:other"]


def test_a_publisher_that_cannot_begin_does_not_take_over(
    site: Hooked, behaviour: Behaviour
) -> None:
    site.applied(repository(), publication())
    before = site.served()
    behaviour.raising["publisher_added"] = ValueError("no disk")
    site.declare(repository(), publication(more="publisher: other"))
    assert outcome(site.apply(), "publication/team").result == "failed"
    assert site.owners() == ["importer:notes", "publisher:notes"]
    assert site.served() == before
    assert "publisher_removed" not in behaviour.methods()


def test_a_plugin_that_is_no_longer_installed_is_named_and_stops_nothing(
    site: Hooked, behaviour: Behaviour
) -> None:
    site.applied(repository(), publication(), repository("free", type="other", plain=True))
    with shelf() as fewer:
        site.registry = plugins(fewer, behaviour, importers=("other",), publishers=("other",))
        site.declare(repository("free", type="other", plain=True), type="other")
        report = site.apply(prune=True)
    assert not report.failed
    gone = (
        "removed; importer `notes`: its plugin is not installed, so `importer_removed` did not run"
    )
    assert outcome(report, "repository/team").message == gone
    assert "`publisher_removed` did not run" in outcome(report, "publication/team").message
    assert site.recorded() == ["repository/free"]
    assert site.folders() == ["free/importer-other"]


def test_an_empty_repository_may_change_its_type(site: Hooked, behaviour: Behaviour) -> None:
    site.applied(repository(plain=True))
    behaviour.methods()
    site.applied(repository(plain=True, type="other"))
    assert behaviour.methods() == ["validate_importer", "importer_added", "importer_removed"]
    assert site.owners() == ["importer:other"]


def test_a_run_that_dies_before_it_records_calls_the_hook_again(
    site: Hooked, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.declare(repository(plain=True))
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "record_resources", _dies)
        with pytest.raises(KeyboardInterrupt):
            site.apply()
    assert "importer_added" in behaviour.methods()
    assert site.recorded() == []
    assert not site.apply().failed
    assert "importer_added" in behaviour.methods()
    assert site.owners() == ["importer:notes"]


def test_a_run_that_dies_before_it_deletes_calls_the_hook_again(
    site: Hooked, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.applied(repository(plain=True), publication())
    behaviour.methods()
    site.declare(repository(plain=True))
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "detach", _dies)
        with pytest.raises(KeyboardInterrupt):
            site.apply(prune=True)
    assert behaviour.methods() == ["publisher_removed"]
    assert not site.apply(prune=True).failed
    assert behaviour.methods() == ["publisher_removed"]
    assert site.owners() == ["importer:notes"]


def test_no_message_of_a_hook_tells_a_secret(
    site: Hooked, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTES_PASSWORD", "xyzzy-plugh")
    auth = "auth: {username: me, password: {env: NOTES_PASSWORD}}"
    site.declare(
        resource("Remote", "closed", f"type: notes, url: https://notes.example.org/, {auth}"),
        repository(plain=True),
    )
    behaviour.raising["importer_added"] = ValueError("401 for me:xyzzy-plugh")
    assert outcome(site.apply(), "repository/team").message.startswith(
        "`importer_added` of `notes` failed: ValueError: 401 for me:***"
    )


def _dies(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_hooks_that_a_plugin_does_not_have_cost_no_instance(
    tmp_path: Path, shelves: Shelf, behaviour: Behaviour
) -> None:
    registry: Registry = plugins(shelves, behaviour)
    importer = registry.importer("notes").cls
    assert importer is not None
    for name in ("importer_added", "validate_config"):
        delattr(importer, name)
    made = []
    setattr(  # noqa: B010
        importer, "__init__", lambda self: made.append(self)
    )  # mypy knows no assignment to a class's own constructor
    Hooked(tmp_path, registry).applied(repository(plain=True))
    assert made == []
