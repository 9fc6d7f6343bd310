"""Why is something in a repository, or not: what is recorded of it, and what each declared source says of it now.

Reading goes the way of a plan: through the page cache, offline where that is asked for. Nothing is compared and nothing is noted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.database import FoundUnit
from reconciler.engine.conduits import blaming
from reconciler.engine.resolve import Others, asking, resolver
from reconciler.engine.sources import GONE, Answer, Asked, Context, failure_of
from reconciler.engine.telling import told
from reconciler.errors import NotCached, UsageFault
from reconciler.model import ActualState, DesiredState, Source, SourceKind, stored_unit
from reconciler.plugin import Decision
from reconciler.plugin.importer import low_level

ANSWERED, SILENT, ABSENT, FAILED, UNKNOWN = "answered", "silent", "gone", "failed", "unknown"


async def explain(context: Context, desired: DesiredState, actual: ActualState, name: str, subject: str) -> dict[str, Any]:
    """A document for people and machines; see `docs/machine-output.md`. Raises UsageFault where there is no such repository."""
    repository, state = desired.repositories.get(name), actual.repositories.get(name)
    if repository is None or state is None:
        raise UsageFault(f"there is no repository `{name}`, or its plugin is not installed", hint="`reconciler get repository` lists what there is")
    asked = asking(context, repository, actual)
    try:
        with blaming(f"`explain` of importer `{asked.plugin.id}`"):
            names = sorted(set(asked.importer_class.explain(subject)))
        held = await asyncio.to_thread(_held, asked, subject, names)
        groups = sorted({*names, *(one["group"] for one in held)})
        owners = {group: await asyncio.to_thread(_owner, asked, group) for group in groups}
        sources = [await _of_source(asked, source, desired, actual, groups, subject) for source in repository.sources]
    finally:
        asked.task.done()
    return {
        "repository": name,
        "subject": subject,
        "version": state.number,
        "held": held,
        "groups": [{"name": group, "owner": owners[group]} for group in groups],
        "sources": sources,
    }


def _held(asked: Asked, subject: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Units of the latest version that are meant, each with the version that brought it."""
    assert asked.actual is not None
    keys = {subject, *(name for name in names if _same(name, subject))}
    state, reader = asked.actual, asked.reader
    found = {(one.group, one.digest, one.source): one for key in sorted(keys) for one in reader.find_units(state.id, state.number, key)}
    return [_held_unit(asked, found[key]) for key in sorted(found)]


def _held_unit(asked: Asked, one: FoundUnit) -> dict[str, Any]:
    assert asked.actual is not None
    unit = stored_unit(one.body)
    version = asked.reader.version(asked.actual.id, one.added)
    since = {"number": one.added, "createdAt": _time(version.created_at), "provenance": dict(version.provenance)} if version is not None else None
    return {"group": one.group, "type": unit.type, "key": unit.key, "digest": str(one.digest), "source": one.source, "since": since}


def _owner(asked: Asked, group: str) -> str | None:
    """The first source that is recorded to have the name; None where nobody has, or where several sources share groups."""
    if asked.importer_class.shared_groups or asked.actual is None:
        return None
    for source in asked.repository.sources:
        known = asked.reader.committed_group(asked.actual.id, source.id, group)
        if known is not None and known.validator != GONE:
            return source.id
    return None


async def _of_source(asked: Asked, source: Source, desired: DesiredState, actual: ActualState, names: Sequence[str], subject: str) -> dict[str, Any]:
    """What one source says of the groups, or why it is not asked."""
    if source.kind is SourceKind.UPLOAD:
        return _said(source, SILENT, "nobody is asked: what was uploaded is recorded")
    if source.kind is SourceKind.REMOTE and low_level(asked.importer_class):
        return _said(source, SILENT, f"importer `{asked.plugin.id}` cannot be asked for one group: what it brought is recorded")
    try:
        answers = await resolver(asked, source, desired, Others(actual, {})).explained(names)
    except NotCached as error:
        return _said(source, UNKNOWN, error.message)
    except Exception as error:  # whatever a source or a plugin raises is that source's failure
        return _said(source, FAILED, failure_of(source.id, None, error, asked.plugin).message)
    groups = [_group(asked, source, answer, decisions, subject) for answer, decisions in answers]
    return _said(source, ANSWERED, "" if groups else "does not name such a group", groups)


def _said(source: Source, result: str, message: str, groups: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"source": source.id, "result": result, "message": message, "groups": list(groups)}


def _group(asked: Asked, source: Source, answer: Answer, decisions: Sequence[Decision], subject: str) -> dict[str, Any]:
    """What it says of one group. `units`: those that are meant; `others`: how many more there are."""
    result, message = ANSWERED, ""
    if isinstance(answer.failure, NotCached):
        result, message = UNKNOWN, answer.failure.message
    elif answer.failure is not None:
        result, message = FAILED, failure_of(source.id, answer.name, answer.failure, asked.plugin).message
    elif answer.gone:
        result, message = ABSENT, told(answer.gone)
    entries = [_decided(one) for one in decisions] + [_refused(key, reason) for key, reason in answer.kept_out]
    meant = entries if _same(answer.name, subject) else [one for one in entries if one["key"] == subject]
    meant.sort(key=lambda one: (one["key"], one["reason"]))
    return {"name": answer.name, "result": result, "message": message, "units": meant, "others": len(entries) - len(meant)}


def _decided(one: Decision) -> dict[str, Any]:
    again = _time(one.reconsider_at) if one.reconsider_at is not None else None
    return {"key": one.unit.key, "type": one.unit.type, "accepted": one.accepted, "reason": told(one.reason), "reconsiderAt": again}


def _refused(key: str, reason: str) -> dict[str, Any]:
    return {"key": key, "type": None, "accepted": False, "reason": told(reason), "reconsiderAt": None}


def _same(group: str, subject: str) -> bool:
    """Is the group itself asked for?"""
    return group == subject or group == subject.casefold()


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
