"""One source of one repository, resolved: what every kind of source has in common.

A source is asked what it holds, or that nothing changed. What may have changed is read, decided by
the selection and compared with the latest version. A source that cannot be asked removes nothing
and keeps the names that it is committed to.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from reconciler.database import CommittedSource
from reconciler.engine.sources.committed_state import CommittedState
from reconciler.engine.sources.group_comparer import GroupComparer
from reconciler.engine.sources.outcome_keys import under_repository_keys
from reconciler.engine.sources.ownership import NameRuling
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_artifacts import SourceArtifacts
from reconciler.engine.sources.source_failures import SourceFailure
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.errors import NotCached
from reconciler.model import Digest, Source
from reconciler.plan import Failure
from reconciler.plugin import Decision

logger = logging.getLogger(__name__)
MAX_NAMED = 3  # names that a message lists


class SourceResolver(ABC):
    """Resolves one source into the findings of its repository.

    Args:
        rules_digest: Digest of what its decisions rest on beside upstream's own answers.
        artifacts: Access to the bytes behind its units.
        absence: Why a unit that is held is no longer there, where the content type cannot know.
    """

    def __init__(
        self,
        resolution: RepositoryResolution,
        source: Source,
        selection: Selection,
        *,
        rules_digest: Digest,
        artifacts: SourceArtifacts,
        absence: str = "",
    ) -> None:
        rules_digest = under_repository_keys(rules_digest, resolution.repository)
        self.selection = selection
        self._resolution = resolution
        self._source = source
        self._rules_digest = rules_digest
        self._findings = resolution.findings
        self._actual = resolution.actual
        self._ownership = resolution.ownership
        self._committed = CommittedState(
            resolution.reader,
            resolution.actual,
            source.id,
            rules_digest=rules_digest,
            now=resolution.session.now,
        )
        self._comparer = GroupComparer(
            resolution,
            source,
            selection,
            rules_digest=rules_digest,
            committed=self._committed,
            artifacts=artifacts,
            absence=absence,
        )
        self._source_digest = rules_digest
        self._waiting: set[str] = set()  # new names that an unavailable earlier source may have

    async def run(self) -> None:
        """Ask the source, and bring everything that it changes into the findings."""
        problems = self._findings.problem_count
        self._source_digest = self._compute_source_digest()
        await self._committed.load_source()
        await self._prepare_names()
        try:
            validator = await self._resolve()
        except NotCached as error:
            await self._fail_source(error)
            return
        except SourceFailure as failure:
            await self._fail_source(failure.cause)
            return
        self._report_waiting()
        whole = CommittedSource(
            validator if self._findings.problem_count == problems else None, self._source_digest
        )
        self._findings.sources[self._source.id] = (whole.validator, self._source_digest)
        self._findings.touched |= whole != self._committed.source

    async def explain(self, names: Sequence[str]) -> list[tuple[SourceResponse, list[Decision]]]:
        """Return what the source says of groups now, and what is decided about their units.

        Groups of which the source says nothing are left out. What is committed is not believed to
        be unchanged. Names other than these are claimed as in a plan; nothing else enters the
        findings. Raises what kept the source from answering.
        """
        await self._prepare_names()
        if self._ownership.is_followed(self._source.id):
            await self._committed.load_groups()
        try:
            responses = await self._respond(names)
        except SourceFailure as failure:
            raise failure.cause from None
        return [self._decided(response) for response in responses]

    async def read_again(self, names: Sequence[str]) -> list[SourceResponse]:
        """Return what the source says of groups now; nothing is decided, and nothing recorded.

        Raises what kept the source from answering.
        """
        try:
            return await self._respond(names)
        except SourceFailure as failure:
            raise failure.cause from None

    @property
    def rules_digest(self) -> Digest:
        """Digest of what its decisions rest on beside upstream's own answers."""
        return self._rules_digest

    @property
    def incomplete(self) -> bool:
        """True if something that has a say in what the source holds could not be asked."""
        return self._comparer.incomplete

    @abstractmethod
    async def _resolve(self) -> str | None:
        """Ask, read, compare. Returns the validator of the source as a whole, if there is one.

        Raises:
            SourceFailure: The source could not be asked. Nothing was brought into the findings.
        """

    async def _respond(self, names: Sequence[str]) -> list[SourceResponse]:
        """Return what the source says of groups; nothing if it cannot be asked for single ones."""
        return []

    # Names

    def _ruling(self, name: str) -> NameRuling:
        return self._ownership.ruling(self._source.id, name, self._committed.groups.get(name))

    def _may_bring(self, name: str) -> bool:
        """Return True if no earlier source owns the name, or may own it."""
        return self._ownership.allows(self._source.id, name, self._committed.groups)

    def _is_contested(self, name: str) -> bool:
        """Return True if an unavailable earlier source may own the name."""
        return bool(self._ruling(name).unavailable)

    def _defer_if_contested(self, name: str) -> bool:
        """Report a contested name as waiting. Returns True if it is one."""
        if contested := self._is_contested(name):
            self._waiting.add(name)
        return contested

    def _not_asked(self, name: str) -> SourceResponse:
        """Return the response about a name that an earlier source owns, or may own.

        Nothing is asked about it, so that no private name leaks to a public index.
        """
        ruling = self._ruling(name)
        return SourceResponse(name, owner=ruling.owner, unavailable=ruling.unavailable)

    def _claim(self, names: Iterable[str]) -> None:
        """Claim names; a repository of one source has no use for a list of all of them."""
        if self._ownership.contested:
            self._ownership.claim(self._source.id, names)

    async def _claim_committed(self) -> None:
        """Claim the committed names where the source could not be asked completely."""
        await self._committed.load_groups()
        if self._ownership.contested:
            self._ownership.claim_committed(self._source.id, self._committed.groups)

    async def _keep_unchanged(self) -> None:
        """Keep everything; claim the names only where a later source has to respect them."""
        if self._ownership.is_followed(self._source.id):
            await self._claim_committed()

    async def _prepare_names(self) -> None:
        """Load the committed groups behind an unavailable source: they decide about names."""
        if self._ownership.unavailable_before(self._source.id):
            await self._committed.load_groups()

    def _compute_source_digest(self) -> Digest:
        """Return the digest that the answers of the source as a whole rest on.

        A name that an earlier source takes, or leaves to this one, changes what it brings. A
        source that others follow also records which names it refuses.
        """
        taken: list[Any] = sorted(self._ownership.owners)
        if self._ownership.reserved:
            taken.append(list(self._ownership.reserved))
        if self._ownership.is_followed(self._source.id):
            return Digest.of_value([self._rules_digest.hex, taken, "followed"])
        return Digest.of_value([self._rules_digest.hex, taken]) if taken else self._rules_digest

    async def _current_source_validator(self) -> str | None:
        """Return the validator under which all of the source is unchanged, if there is one."""
        if self._findings.claimed:  # some key moves to another source
            return None
        return await self._committed.source_validator(self._source_digest)

    def _log_asked(self, *, unchanged: bool) -> None:
        logger.debug("%s: %s", self._source.id, "unchanged" if unchanged else "asked")

    # Failures

    async def _fail_source(self, error: Exception) -> None:
        """Record that the source could not be asked: it keeps its names, and gains none."""
        logger.debug("%s: could not be asked: %s", self._source.id, type(error).__name__)
        self._resolution.add_failure(self._source.id, None, error)
        await self._claim_committed()
        self._ownership.mark_unavailable(self._source.id)

    def _report_waiting(self) -> None:
        """Report names that are left out because an earlier source may have them.

        Where that source was only not asked, offline, this is unknown and no failure.
        """
        if not self._waiting:
            return
        unavailable = self._ownership.unavailable_before(self._source.id)
        if not any(failure.source == unavailable for failure in self._findings.failures):
            self._findings.unknown.append(f"{self._source.id}: names that {unavailable} may have")
            return
        listed = ", ".join(f"`{name}`" for name in sorted(self._waiting)[:MAX_NAMED])
        rest = len(self._waiting) - MAX_NAMED
        message = (
            f"brings nothing new under {listed}{f' and {rest:,} more' if rest > 0 else ''}:"
            f" {unavailable} could not be asked completely, and may have the name"
        )
        self._findings.failures.append(
            Failure(self._source.id, None, message, "the first source that has a name owns it")
        )

    def _decided(self, response: SourceResponse) -> tuple[SourceResponse, list[Decision]]:
        if response.failure is not None:
            return response, []
        try:
            response = self._resolution.marks.on(response)
            return response, self._comparer.decide(response, response.units)
        except Exception as error:  # the content type decides: its failure is the group's
            return replace(response, failure=error), []
