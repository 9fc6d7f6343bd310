"""`validate_config`: when it is asked, what it may see, and that a refusal stores nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import OptionFault, PluginCallConfiguration, PluginFault, ValidateConduit
from reconciler.plugin.config import PluginSettings
from reconciler.plugin.registry import Registry
from tests.support.advertised import Shelf, shelf
from tests.support.hooked import Behaviour, Hooked, outcome, plugins, publication, repository


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def shelves() -> Iterator[Shelf]:
    with shelf() as found:
        yield found


@pytest.fixture
def registry(shelves: Shelf, behaviour: Behaviour) -> Registry:
    return plugins(shelves, behaviour, importers=("notes", "other"))


@pytest.fixture
def site(tmp_path: Path, registry: Registry) -> Hooked:
    return Hooked(tmp_path, registry)


def no_blue(config: PluginCallConfiguration, conduit: ValidateConduit) -> None:
    if "blue" in (config.get("colour"), config.get("ink")):
        raise OptionFault("blue is not printed here", hint="choose `red`")


def checks(behaviour: Behaviour) -> list[str]:
    return [name for name in behaviour.methods() if name.startswith("validate")]


def test_it_is_asked_at_first_and_at_every_change_and_else_never(
    site: Hooked, behaviour: Behaviour
) -> None:
    site.applied(repository(), publication())
    assert checks(behaviour) == ["validate_importer", "validate_publisher"]
    site.applied(repository(groups="a: [one], b: [two]"), publication())
    assert checks(behaviour) == []
    site.applied(repository(groups="a: [one]"), publication())
    assert checks(behaviour) == ["validate_importer"]
    site.applied(repository(groups="a: [one]"), publication(more="title: More"))
    assert checks(behaviour) == ["validate_publisher"]
    site.applied(
        repository(groups="a: [one]"), publication(more="title: More"), publication("second")
    )
    assert checks(behaviour) == [
        "validate_publisher",
        "validate_publisher",
    ], "every publication that shares the configuration's digest"


def test_a_refused_repository_is_not_stored_and_its_publications_wait(
    site: Hooked, behaviour: Behaviour
) -> None:
    behaviour.checking = no_blue
    site.declare(repository(more="colour: blue"), publication())
    report = site.apply()
    message = (
        "importer `notes` refuses the configuration of repository/team in source `remote:up`: blue"
        " is not printed here"
    )
    assert outcome(report, "repository/team").message == f"{message}\nhint: choose `red`"
    assert outcome(report, "publication/team").result == "blocked"
    assert site.recorded() == []
    assert site.folders() == [], "what it wrote into its working directory went with the plan"
    assert "importer_added" not in behaviour.methods()


def test_a_plan_shows_the_refusal_and_leaves_nothing(site: Hooked, behaviour: Behaviour) -> None:
    behaviour.checking = no_blue
    site.declare(repository(more="colour: blue"))
    plan = site.plan()
    assert plan.failed
    assert [change.hint for change in plan.changes if change.refusal] == ["choose `red`"]
    assert not site.home.root.exists()
    assert [folder.exists() for folder in behaviour.folders] == [False], (
        "its working directory was a copy that is thrown away"
    )


def test_a_refused_change_keeps_what_was_and_what_is_served(
    site: Hooked, behaviour: Behaviour
) -> None:
    behaviour.checking = no_blue
    site.applied(repository(), publication())
    served = site.served()
    before = site.ask(lambda reader: reader.actual_state())
    for _ in range(2):
        site.declare(repository(groups="c: [three]", more="colour: blue"), publication())
        report = site.apply()
        assert outcome(report, "repository/team").result == "failed"
        assert outcome(report, "publication/team").result == "unchanged", (
            "it needs no new content, and shows what is there"
        )
        assert site.ask(lambda reader: reader.actual_state()) == before
        assert site.served() == served
        assert "validate_importer" in checks(behaviour), "a refusal is not remembered as an answer"


def test_a_refused_publication_leaves_the_others(site: Hooked, behaviour: Behaviour) -> None:
    behaviour.checking = no_blue
    site.declare(repository(), publication("one"), publication("two", more="colour: blue"))
    for _ in range(2):
        report = site.apply()
        assert outcome(report, "publication/two").message.startswith(
            "publisher `notes` refuses the configuration of publication/two: blue"
        )
        assert site.recorded() == ["publication/one", "repository/team"]
    assert site.served("one")


@pytest.mark.parametrize(
    "key", ["colour", "ink"]
)  # one that the option models know, one that only the plugin does
def test_a_plugin_level_that_changes_is_validated_and_refused_without_any_change_of_manifests(
    site: Hooked, shelves: Shelf, behaviour: Behaviour, key: str
) -> None:
    behaviour.checking = no_blue
    site.applied(repository(), publication())
    served = site.served()
    site.registry = shelves.registry(PluginSettings(configs={"notes": {key: "blue"}}))
    checks(behaviour)
    report = site.apply()
    assert outcome(report, "repository/team").result == "failed"
    assert outcome(report, "publication/team").result == "failed"
    assert checks(behaviour) == ["validate_importer", "validate_publisher"]
    assert site.served() == served


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ZeroDivisionError("oops"),
            "`validate_config` of importer `notes` failed: ZeroDivisionError: oops",
        ),
        (SystemExit(2), "`validate_config` of importer `notes` failed: SystemExit: 2"),
        (
            PluginFault("no such colour"),
            "importer `notes` refuses the configuration of repository/team: no such colour",
        ),
    ],
)
def test_whatever_it_raises_is_a_refusal(
    site: Hooked, behaviour: Behaviour, error: BaseException, said: str
) -> None:
    behaviour.raising["validate_importer"] = error
    site.declare(repository(plain=True), repository("free", plain=True, type="other"))
    assert outcome(site.apply(), "repository/team").message.startswith(said)
    assert site.recorded() == []


def test_an_override_is_validated_and_never_remembered(site: Hooked, behaviour: Behaviour) -> None:
    behaviour.checking = no_blue
    site.applied(repository(), publication())
    checks(behaviour)
    report = site.apply("Publication/team.colour=blue")
    assert outcome(report, "publication/team").result == "failed"
    assert checks(behaviour) == ["validate_publisher"]
    assert not site.apply("Publication/team.colour=green").failed
    assert checks(behaviour) == ["validate_publisher"]
    site.apply()
    assert checks(behaviour) == [], "what was accepted without the override is still accepted"


def test_it_sees_options_counts_and_notes_and_keeps_none_of_it(
    site: Hooked, behaviour: Behaviour
) -> None:
    seen: list[Any] = []

    def look(config: PluginCallConfiguration, conduit: ValidateConduit) -> None:
        seen.append((conduit.options.colour, dict(conduit.counts()), conduit.get_scratchpad()))
        behaviour.kept.append(conduit)

    behaviour.checking = look
    site.applied(repository())
    site.applied(repository(more="colour: green"))
    assert seen == [("red", {}, None), ("green", {"notes.note": 2}, None)]
    for name in ("options", "counts", "get_scratchpad", "get_repository_scratchpad"):
        with pytest.raises(PluginFault, match="`ValidateConduit` after its call had returned"):
            getattr(behaviour.kept[0], name)()
    assert not [name for name in dir(behaviour.kept[0]) if name.startswith("set")]


def test_a_repository_with_content_keeps_its_type(site: Hooked, behaviour: Behaviour) -> None:
    site.applied(repository(), publication())
    served = site.served()
    site.declare(
        repository(plain=True, type="other"), publication(more="publisher: notes"), type="other"
    )
    report = site.apply()
    message = (
        "repository `team` holds content of the type `notes`: it cannot become one of the type"
        " `other`"
    )
    assert outcome(report, "repository/team").message.startswith(message)
    assert "--prune" in outcome(report, "repository/team").message
    assert outcome(report, "publication/team").result == "failed"
    assert site.served() == served
    assert site.owners() == ["importer:notes", "publisher:notes"]
