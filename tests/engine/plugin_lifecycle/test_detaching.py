"""Plugins that nothing uses any more are detached, publishers before the importer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from reconciler.database import Attachment
from reconciler.engine.plugin_lifecycle.attachments import PluginLifecycle
from reconciler.model import ActualRepository, ActualResource, ActualState, Digest, Kind, Ref

TEAM, SHOWN = Ref(Kind.REPOSITORY, "team"), Ref(Kind.PUBLICATION, "shown")
SPECS: dict[Ref, dict[str, Any]] = {
    TEAM: {"type": "files"},
    SHOWN: {"repository": "team", "path": "shown", "publisher": "pages"},
}
BEFORE = ActualState(
    {ref: ActualResource(ref, {}, {}, spec) for ref, spec in SPECS.items()},
    {"team": ActualRepository(7, "team", 1, Digest.of(b""), 1)},
)
OWNERS = ("importer:files", "publisher:pages")


def detach(*after: Ref, spared: tuple[Ref, ...] = ()) -> tuple[list[str], dict[Ref, list[str]]]:
    """(what was removed and detached, in order; messages) where `after` stay recorded."""
    log: list[str] = []
    session: Any = SimpleNamespace(
        registry=SimpleNamespace(find=lambda kind, id: None),
        workdirs=SimpleNamespace(remove=lambda *names: log.append("/".join(names))),
        writer=SimpleNamespace(detach=lambda id, owner: log.append(f"{id} {owner}")),
    )
    attachments = {"team": {owner: Attachment(owner, Digest.of(b"")) for owner in OWNERS}}
    lifecycle = PluginLifecycle(session, BEFORE, attachments)
    messages = lifecycle.detach_unused(
        {ref: BEFORE.resources[ref] for ref in after},
        gone=[ref for ref in BEFORE.resources if ref not in after],
        spared=spared,
    )
    return log, messages


def test_publishers_go_before_the_importer_and_the_directory_of_the_repository_last() -> None:
    log, messages = detach()
    assert log == ["team/publisher:pages", "team/importer:files", "team"]
    assert list(messages) == [SHOWN, TEAM]
    assert "`publisher_removed` did not run" in messages[SHOWN][0]


def test_a_publisher_whose_publication_goes_is_detached_from_what_stays() -> None:
    assert detach(TEAM)[0] == ["team/publisher:pages", "7 publisher:pages"]


def test_what_is_used_stays() -> None:
    assert detach(TEAM, SHOWN) == ([], {})


def test_a_plugin_of_a_resource_that_did_not_become_what_is_declared_stays() -> None:
    assert detach(TEAM, spared=(SHOWN,)) == ([], {})
