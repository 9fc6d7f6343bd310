"""Explanation of why something is in a repository, or not.

What is recorded of it, what each declared source says of it now, and which rule decides. Reading
goes the way of a plan: sources are asked one after the other through the page cache, and a name
that one of them owns is not asked of the next. Nothing is compared and nothing is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterator, Sequence
from typing import Any

from reconciler.engine.explaining.documents import (
    ABSENT,
    ANSWERED,
    FAILED,
    OWNED,
    REFUSED,
    SILENT,
    UNKNOWN,
    decided_unit_document,
    group_document,
    mark_documents,
    source_document,
    unreadable_unit_document,
)
from reconciler.engine.explaining.matching_units import (
    MatchingUnit,
    matches_subject,
    matching_units,
    removed_documents,
    unit_documents,
)
from reconciler.engine.explaining.rule_chains import Chains
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.session.session import Session
from reconciler.engine.sources.repository_resolution import (
    OtherRepositories,
    RepositoryResolution,
    groups_noun,
)
from reconciler.engine.sources.resolution import make_resolver, reserve_uploads
from reconciler.engine.sources.source_failures import failure_of
from reconciler.engine.sources.source_resolver import SourceResolver
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.errors import NotCached, UsageFault
from reconciler.model import (
    UPLOAD,
    ActualState,
    DesiredState,
    Digest,
    Source,
    SourceKind,
    Unit,
    counted_noun,
    identify,
)
from reconciler.plugin import Decision
from reconciler.plugin.importer import low_level
from reconciler.redaction import sanitize

_SUBJECTS = (
    "the name of a file or of what it belongs to, or what else its plugin can read, such as a"
    " requirement"
)
UnitKey = tuple[str, str, str]  # group, type, key


async def explain(
    session: Session,
    desired: DesiredState,
    actual: ActualState,
    *,
    name: str,
    subject: str,
    verbose: bool = False,
    applied: bool = True,
) -> dict[str, Any]:
    """Return the document that `docs/reference/machine-output.md` describes.

    `applied`: `desired` is what the last apply recorded. `verbose`: give the chain of every unit,
    however many are meant.

    Raises:
        UsageFault: There is no such repository, or the plugin knows no group that could hold the
            subject.
    """
    repository, state = desired.repositories.get(name), actual.repositories.get(name)
    if repository is None or (state is None and applied):
        raise UsageFault(
            f"there is no repository `{name}`, or its plugin is not installed",
            hint="`reconciler get repository` lists what there is",
        )
    resolution = RepositoryResolution.start(session, repository, actual)
    try:
        with plugin_faults(f"`explain` of importer `{resolution.plugin.id}`"):
            names = sorted(set(resolution.importer_class.explain(subject)))
        held = await asyncio.to_thread(matching_units, resolution, subject, names)
        if not names and not held:
            raise UsageFault(
                f"`{subject}` names nothing that a repository of type `{resolution.plugin.id}`"
                " could hold",
                hint=_SUBJECTS,
            )
        groups = sorted({*names, *(unit.group for unit in held)})
        explainer = SourceExplainer(
            resolution, desired, actual, names=groups, held=held, subject=subject, verbose=verbose
        )
        await explainer.start()
        sources = [await explainer.explain(source) for source in repository.sources]
    finally:
        resolution.task.done()
    return {
        "repository": name,
        "subject": subject,
        "by": "record" if applied else "manifests",
        "version": state.number if state is not None else None,
        "held": await asyncio.to_thread(unit_documents, resolution, held),
        "marks": [
            document for group in groups for document in mark_documents(resolution.marks, group)
        ],
        "removed": await asyncio.to_thread(removed_documents, resolution, subject, groups),
        "groups": [{"name": group, "owner": resolution.ownership.owner(group)} for group in groups],
        "sources": sources,
        "buckets": resolution.importer_class.shared_groups,
    }


class SourceExplainer:
    """Asks sources about groups, in their order, and records which names they own."""

    def __init__(
        self,
        resolution: RepositoryResolution,
        desired: DesiredState,
        actual: ActualState,
        *,
        names: Sequence[str],
        held: Sequence[MatchingUnit],
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
        # The first source that brings a unit under a key, and the digest of that unit
        self._first: dict[UnitKey, tuple[str, Digest]] = {}

    async def start(self) -> None:
        """Reserve the names of uploads, as a plan does before any source is asked."""
        await reserve_uploads(self._resolution)
        self._keep_held(UPLOAD)

    async def explain(self, source: Source) -> dict[str, Any]:
        """Return what one source says of the groups, or why it is not asked."""
        if source.kind is SourceKind.UPLOAD:
            return source_document(
                source, SILENT, "uploads have no upstream to ask: what was uploaded is recorded"
            )
        if source.kind is SourceKind.REMOTE and low_level(self._resolution.importer_class):
            await self._keep_committed(source)
            message = (
                f"importer `{self._resolution.plugin.id}` cannot be asked for one name: what it"
                " brought is recorded"
            )
            return source_document(source, SILENT, message)
        try:
            others = OtherRepositories(self._actual, {})
            resolver = make_resolver(self._resolution, source, self._desired, others=others)
            answers = await resolver.explain(self._names)
        except Exception as error:  # whatever a source or a plugin raises is that source's failure
            await self._keep_committed(source)
            self._resolution.ownership.mark_unavailable(source.id)
            return self._failure(source, error)
        self._claim(source, [response for response, _ in answers])
        try:
            groups = self._groups(source, resolver, answers)
        except Exception as error:  # plugin code says why
            return self._failure(source, error)
        if resolver.incomplete:
            return await self._incomplete(
                source, groups, {response.name for response, _ in answers}
            )
        message = "" if groups else f"lists no such {self._noun()}"
        return source_document(source, ANSWERED, message, groups=groups)

    def _noun(self) -> str:
        """Return what people call a group: `project`; of a tree of files each is a path."""
        resolution = self._resolution
        if resolution.importer_class.shared_groups:
            return "path"
        return counted_noun(1, groups_noun(resolution.session.registry, resolution.plugin))

    def _claim(self, source: Source, responses: Sequence[SourceResponse]) -> None:
        """Claim the names that the source answers for."""
        self._resolution.ownership.claim(
            source.id, [response.name for response in responses if response.has_name]
        )
        if any(response.failure is not None for response in responses):
            self._keep_held(source.id)

    async def _incomplete(
        self, source: Source, groups: list[dict[str, Any]], answered: Container[str]
    ) -> dict[str, Any]:
        """Return what a source says of which some part could not be asked.

        It keeps what it is committed to, and may have more.
        """
        await self._keep_committed(source)
        ownership = self._resolution.ownership
        ownership.mark_unavailable(source.id)
        if all(
            name in answered or ownership.owner(name) not in (source.id, None)
            for name in self._names
        ):
            return source_document(source, ANSWERED, "", groups=groups)
        return source_document(
            source,
            UNKNOWN,
            "unknown: not all that has a say in what it holds could be asked",
            groups=groups,
        )

    def _failure(self, source: Source, error: Exception) -> dict[str, Any]:
        if isinstance(error, NotCached):
            return source_document(source, UNKNOWN, error.message)
        failure = failure_of(source.id, None, error, plugin=self._resolution.plugin)
        return source_document(source, FAILED, failure.message)

    async def _keep_committed(self, source: Source) -> None:
        """Claim the committed names of a source that is not asked, or does not answer."""
        actual, reader = self._resolution.actual, self._resolution.reader
        ownership = self._resolution.ownership
        if actual is None:
            return
        if ownership.is_followed(source.id):  # what a later source requires may be among them
            committed = await asyncio.to_thread(reader.committed_groups, actual.id, source.id)
        else:
            committed = {
                name: group
                for name in self._names
                if (group := reader.committed_group(actual.id, source.id, name)) is not None
            }
        ownership.claim_committed(source.id, committed)
        self._keep_held(source.id)

    def _keep_held(self, source: str) -> None:
        """Count units that a source has brought as its own, whatever it would say now."""
        for (holder, *key), unit in self._held.items():
            if holder == source:
                self._first.setdefault((key[0], key[1], key[2]), (source, unit.digest))

    def _groups(
        self,
        source: Source,
        resolver: SourceResolver,
        answers: Sequence[tuple[SourceResponse, Sequence[Decision]]],
    ) -> list[dict[str, Any]]:
        chains = Chains(self._resolution, self._desired, source, selection=resolver.selection)
        groups = [
            self._group(source, response, decisions, chains=chains)
            for response, decisions in answers
        ]
        return groups + list(
            self._refused_groups({response.name for response, _ in answers}, chains)
        )

    def _group(
        self,
        source: Source,
        response: SourceResponse,
        decisions: Sequence[Decision],
        *,
        chains: Chains,
    ) -> dict[str, Any]:
        """Return what a source says of one group."""
        name = response.name
        result, message = self._result(source, response)
        meant = [
            self._against_held(source, name, decision, chains=chains)
            for decision in decisions
            if self._is_meant(name, decision.unit)
        ]
        by_unit = chains.of_units(response, meant, every=self._verbose)
        units = [
            decided_unit_document(decision, chains, by_unit.get(id(decision.unit)))
            for decision in meant
        ] + [
            unreadable_unit_document(key, reason)
            for key, reason in response.kept_out
            if self._is_meant(name, Unit(self._main_type, key, {}))
        ]
        units.sort(key=lambda unit: (unit["key"], unit["reason"]))
        others = len(decisions) + len(response.kept_out) - len(units)
        return group_document(
            name,
            result,
            message,
            units=units,
            others=others,
            whole=not others and all(unit["key"] != self._subject for unit in units),
            chain=chains.of_group(name) if result == REFUSED else [],
        )

    def _against_held(
        self, source: Source, group: str, decision: Decision, *, chains: Chains
    ) -> Decision:
        """Refuse what must not replace a unit that is held, or that another source brings.

        Only units whose artifacts have digests can be told apart.
        """
        unit = decision.unit
        if not decision.accepted or not all(artifact.sha256 for artifact in unit.artifacts):
            return decision
        key, digest = (group, unit.type, unit.key), identify(unit, group).digest
        first, first_digest = self._first.setdefault(key, (source.id, digest))
        if first != source.id and first_digest != digest:
            return Decision(unit, False, f"held by {first}")
        held = self._held.get((source.id, *key))
        if held is None or digest == held.digest:
            return decision
        reason = chains.refuse_replacement(held.unit, unit)
        return decision if reason is None else Decision(unit, False, reason)

    def _refused_groups(self, answered: Container[str], chains: Chains) -> Iterator[dict[str, Any]]:
        """Yield groups that the source does not name because of a rule."""
        for name in self._names:
            chain = [] if name in answered else chains.of_group(name)
            if chain and self._resolution.ownership.owner(name) is None:
                yield group_document(name, REFUSED, chain[0]["text"], whole=True, chain=chain)

    def _result(self, source: Source, response: SourceResponse) -> tuple[str, str]:
        if response.owner:
            return OWNED, f"not asked: the name belongs to {response.owner}"
        if response.unavailable:
            return (
                UNKNOWN,
                f"not asked: {response.unavailable} could not be asked completely, and may have the"
                " name",
            )
        if isinstance(response.failure, NotCached):
            return UNKNOWN, response.failure.message
        if response.failure is not None:
            failure = failure_of(
                source.id, response.name, response.failure, plugin=self._resolution.plugin
            )
            return FAILED, failure.message
        if response.refused:
            return REFUSED, sanitize(response.refused)
        return (ABSENT, sanitize(response.gone)) if response.gone else (ANSWERED, "")

    def _is_meant(self, group: str, unit: Unit) -> bool:
        return matches_subject(self._resolution, group, unit, subject=self._subject)

    @property
    def _main_type(self) -> str:
        assert self._resolution.plugin.metadata is not None
        return next(iter(self._resolution.plugin.metadata.types), "")
