"""Why is something in a repository, or not: what is recorded of it, what each declared source says
of it now, and which rule decides.

Reading goes the way of a plan: sources one after the other, a name that one of them owns is not
asked of the next, through the page cache, offline where that is asked for. Nothing is compared and
nothing is noted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.engine.explaining.held_units import HeldUnit, held_units, instant, means, since
from reconciler.engine.explaining.rule_chains import Chain, Chains
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.session.session import Session
from reconciler.engine.sources.resolution import Others, asking, resolver
from reconciler.engine.sources.source_failures import failure_of
from reconciler.engine.sources.source_resolver import RepositoryResolution
from reconciler.engine.sources.source_responses import GONE, SourceResponse
from reconciler.errors import NotCached, UsageFault
from reconciler.model import ActualState, DesiredState, Digest, Source, SourceKind, Unit, identify
from reconciler.plugin import Decision
from reconciler.plugin.importer import low_level
from reconciler.redaction import sanitize

ANSWERED, SILENT, ABSENT, FAILED, UNKNOWN, OWNED, REFUSED = (
    "answered",
    "silent",
    "gone",
    "failed",
    "unknown",
    "owned",
    "refused",
)
UPLOAD = SourceKind.UPLOAD.value
_SUBJECTS = (
    "the name of a file or of what it belongs to, or what else its plugin can read, such as a"
    " requirement"
)


async def explain(
    session: Session,
    desired: DesiredState,
    actual: ActualState,
    name: str,
    subject: str,
    *,
    verbose: bool = False,
    applied: bool = True,
) -> dict[str, Any]:
    """Return the document that `docs/reference/machine-output.md` describes.

    Raises UsageFault where there is no such repository, or the plugin knows no group in which the
    subject could be.

    `applied`: `desired` is what the last apply recorded. `verbose`: the chain of every unit,
    however many are meant.
    """
    repository, state = desired.repositories.get(name), actual.repositories.get(name)
    if repository is None or (state is None and applied):
        raise UsageFault(
            f"there is no repository `{name}`, or its plugin is not installed",
            hint="`reconciler get repository` lists what there is",
        )
    resolution = asking(session, repository, actual)
    try:
        with plugin_faults(f"`explain` of importer `{resolution.plugin.id}`"):
            names = sorted(set(resolution.importer_class.explain(subject)))
        held = await asyncio.to_thread(held_units, resolution, subject, names)
        if not names and not held:
            raise UsageFault(
                f"`{subject}` names nothing that a repository of type `{resolution.plugin.id}` could"
                " hold",
                hint=_SUBJECTS,
            )
        groups = sorted({*names, *(unit.group for unit in held)})
        asking_now = _Explaining(resolution, desired, actual, groups, held, subject, verbose)
        await asyncio.to_thread(asking_now.keep, UPLOAD)
        sources = [await asking_now.source(source) for source in repository.sources]
    finally:
        resolution.task.done()
    return {
        "repository": name,
        "subject": subject,
        "by": "record" if applied else "manifests",
        "version": state.number if state is not None else None,
        "held": await asyncio.to_thread(since, resolution, held),
        "groups": [
            {"name": group, "owner": resolution.findings.owned.get(group)} for group in groups
        ],
        "sources": sources,
    }


class _Explaining:
    """Sources asked about groups in their order. `keep` and `source` note in the findings who has
    which name.
    """

    def __init__(
        self,
        resolution: RepositoryResolution,
        desired: DesiredState,
        actual: ActualState,
        names: Sequence[str],
        held: Sequence[HeldUnit],
        subject: str,
        verbose: bool,
    ) -> None:
        self._resolution = resolution
        self._desired = desired
        self._actual = actual
        self._names = names
        self._held = {
            (unit.source, unit.group, unit.unit.type, unit.unit.key): unit for unit in held
        }
        self._subject = subject
        self._verbose = verbose
        self._first: dict[
            tuple[str, str, str], tuple[str, Digest]
        ] = {}  # by group, type and key: the first source that brings it, and what

    async def source(self, source: Source) -> dict[str, Any]:
        """What one source says of the groups, or why it is not asked."""
        resolution = self._resolution
        if source.kind is SourceKind.UPLOAD:
            return _said(source, SILENT, "nobody is asked: what was uploaded is recorded")
        if source.kind is SourceKind.REMOTE and low_level(resolution.importer_class):
            await asyncio.to_thread(self.keep, source.id)
            return _said(
                source,
                SILENT,
                f"importer `{resolution.plugin.id}` cannot be asked for one group: what it brought is"
                " recorded",
            )
        try:
            asking_it = resolver(resolution, source, self._desired, Others(self._actual, {}))
            answers = await asking_it.explained(self._names)
            chains = Chains(resolution, self._desired, source, asking_it.selection)
            groups = [
                self._group(source, answer, decisions, chains) for answer, decisions in answers
            ]
            groups += self._kept_out({answer.name for answer, _ in answers}, chains)
        except Exception as error:  # whatever a source or a plugin raises is that source's failure
            await asyncio.to_thread(self.keep, source.id)
            self._lose_sight(source.id)
            if isinstance(error, NotCached):
                return _said(source, UNKNOWN, error.message)
            return _said(
                source, FAILED, failure_of(source.id, None, error, resolution.plugin).message
            )
        for answer, _ in answers:
            if not (answer.waits or (answer.gone and not answer.withdrawn)):
                self._own(answer.name, source.id)
            if answer.failure is not None:
                self._hold(source.id)
        if asking_it.partial:
            return await self._partly(source, groups, {answer.name for answer, _ in answers})
        return _said(source, ANSWERED, "" if groups else "does not name such a group", groups)

    async def _partly(
        self, source: Source, groups: list[dict[str, Any]], answered: Container[str]
    ) -> dict[str, Any]:
        """Said of a source of which some part could not be asked: it keeps what it has, and may
        have more.
        """
        await asyncio.to_thread(self.keep, source.id)
        self._lose_sight(source.id)
        if all(
            name in answered or self._resolution.findings.owned.get(name, source.id) != source.id
            for name in self._names
        ):
            return _said(source, ANSWERED, "", groups)
        return _said(
            source,
            UNKNOWN,
            "unknown: not all that has a say in what it holds could be asked",
            groups,
        )

    def keep(self, source: str) -> None:
        """A source that is not asked, or does not answer, has the names for which it is recorded to
        have had an answer.
        """
        actual, reader = self._resolution.actual, self._resolution.reader
        if actual is None:
            return
        if source == self._resolution.repository.sources[-1].id:
            found = {name: reader.committed_group(actual.id, source, name) for name in self._names}
        else:  # what a later source requires may be among them
            found = {**reader.committed_groups(actual.id, source)}
        for name, known in found.items():
            if known is not None and known.validator != GONE:
                self._own(name, source)
        self._hold(source)

    def _hold(self, source: str) -> None:
        """What it has brought is its, whatever it would say now."""
        for (one, *place), held in self._held.items():
            if one == source:
                self._first.setdefault((place[0], place[1], place[2]), (source, held.digest))

    def _lose_sight(self, source: str) -> None:
        self._resolution.findings.blind = self._resolution.findings.blind or source

    def _own(self, name: str, source: str) -> None:
        if not self._resolution.importer_class.shared_groups:
            self._resolution.findings.owned.setdefault(name, source)

    def _group(
        self, source: Source, answer: SourceResponse, decisions: Sequence[Decision], chains: Chains
    ) -> dict[str, Any]:
        """What it says of one group. `units`: those that are meant; `others`: how many more there
        are; `whole`: nothing less is asked for.
        """
        result, message = self._result(source, answer)
        meant = [
            self._standing(source, answer.name, decision, chains)
            for decision in decisions
            if self._meant(answer.name, decision.unit)
        ]
        kept_out = [
            (key, reason)
            for key, reason in answer.kept_out
            if self._meant(answer.name, Unit(self._main_type, key, {}))
        ]
        found = chains.of_units(answer, meant, every=self._verbose)
        units = [_decided(decision, chains, found) for decision in meant] + [
            _refused(key, reason) for key, reason in kept_out
        ]
        units.sort(key=lambda unit: (unit["key"], unit["reason"]))
        others = len(decisions) + len(answer.kept_out) - len(units)
        whole = not others and all(unit["key"] != self._subject for unit in units)
        chain = chains.of_group(answer.name) if result == REFUSED else []
        return _told_group(answer.name, result, message, units, others, whole=whole, chain=chain)

    def _standing(self, source: Source, group: str, one: Decision, chains: Chains) -> Decision:
        """The same decision, against what must not replace a unit that is held, or another
        source's, where the digests of its bytes are known.
        """
        if not one.accepted or not all(part.sha256 for part in one.unit.artifacts):
            return one
        place, digest = (group, one.unit.type, one.unit.key), identify(one.unit, group).digest
        first, theirs = self._first.setdefault(place, (source.id, digest))
        if first != source.id and theirs != digest:
            return Decision(one.unit, False, f"held by {first}")
        held = self._held.get((source.id, *place))
        if held is None or digest == held.digest:
            return one
        reason = chains.refusal(held.unit, one.unit)
        return one if reason is None else Decision(one.unit, False, reason)

    def _kept_out(self, answered: Container[str], chains: Chains) -> Iterator[dict[str, Any]]:
        """Groups that the source does not name because of a rule."""
        for name in self._names:
            chain = [] if name in answered else chains.of_group(name)
            if chain and not self._resolution.findings.owned.get(name):
                yield _told_group(name, REFUSED, chain[0]["text"], [], 0, whole=True, chain=chain)

    def _result(self, source: Source, answer: SourceResponse) -> tuple[str, str]:
        if answer.owner:
            return OWNED, f"not asked: the name belongs to {answer.owner}"
        if answer.waits:
            return (
                UNKNOWN,
                f"not asked: {answer.waits} could not be asked completely, and may have the name",
            )
        if isinstance(answer.failure, NotCached):
            return UNKNOWN, answer.failure.message
        if answer.failure is not None:
            return (
                FAILED,
                failure_of(source.id, answer.name, answer.failure, self._resolution.plugin).message,
            )
        if answer.refused:
            return REFUSED, sanitize(answer.refused)
        return (ABSENT, sanitize(answer.gone)) if answer.gone else (ANSWERED, "")

    def _meant(self, group: str, unit: Unit) -> bool:
        return means(self._resolution, group, unit, self._subject)

    @property
    def _main_type(self) -> str:
        assert self._resolution.plugin.metadata is not None
        return next(iter(self._resolution.plugin.metadata.types), "")


def _said(
    source: Source, result: str, message: str, groups: Iterable[dict[str, Any]] = ()
) -> dict[str, Any]:
    return {"source": source.id, "result": result, "message": message, "groups": list(groups)}


def _told_group(
    name: str,
    result: str,
    message: str,
    units: Sequence[Mapping[str, Any]],
    others: int,
    *,
    whole: bool,
    chain: Chain,
) -> dict[str, Any]:
    return {
        "name": name,
        "result": result,
        "message": message,
        "units": units,
        "others": others,
        "whole": whole,
        "chain": chain,
    }


def _decided(one: Decision, chains: Chains, found: Mapping[int, Chain]) -> dict[str, Any]:
    version, label = chains.summary(one.unit)
    return {
        "key": one.unit.key,
        "type": one.unit.type,
        "version": version,
        "label": label,
        "accepted": one.accepted,
        "reason": sanitize(one.reason),
        "rule": sanitize(one.rule),
        "reconsiderAt": instant(one.reconsider_at) if one.reconsider_at is not None else None,
        "chain": found.get(id(one.unit)),
    }


def _refused(key: str, reason: str) -> dict[str, Any]:
    fixed = {
        "type": None,
        "version": None,
        "label": "",
        "accepted": False,
        "rule": "",
        "reconsiderAt": None,
        "chain": None,
    }
    return {"key": key, "reason": sanitize(reason), **fixed}
