"""Repairs within a run: damage that is known, or comes to light, is mended and reported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from reconciler.engine.applying.report import DONE, FAILED, UNCHANGED, Report
from reconciler.engine.applying.schedule import Schedule
from reconciler.engine.applying.staging import pending_groups
from reconciler.engine.integrity.repair import Repair, RepairResult
from reconciler.engine.session.session import WritingSession
from reconciler.engine.transfer.stored_bytes import record_damage, reliable_sizes
from reconciler.model import (
    DesiredState,
    Digest,
    Kind,
    Ref,
    Repository,
    SourceKind,
    artifact_digest,
)
from reconciler.plan import ContentChanges


class Repairs:
    """Mends damaged bytes in one run, and tells the report of it once."""

    def __init__(self, session: WritingSession, desired: DesiredState, *, report: Report) -> None:
        self._session = session
        self._desired = desired
        self._report = report
        self._result = RepairResult()
        self._reported: dict[str, set[str]] = {}

    async def prepare(self, schedule: Schedule) -> None:
        """Mend what is known, and what repositories are about to copy.

        What comes from a remote is fetched anew by its own sync.
        """
        for change in schedule.changes(Kind.REPOSITORY):
            repository = self._desired.repositories[change.ref.name]
            if change.content is not None:
                await asyncio.to_thread(self._check_copies, repository, change.content)
        self._result = await Repair(self._session, self._desired).run()

    async def mend(self, problems: Mapping[Digest, str]) -> None:
        """Mend damage that came to light, and report it."""
        session = self._session
        await asyncio.to_thread(
            record_damage, session.store, session.writer, problems, now=session.clock()
        )
        self._result = await Repair(session, self._desired).run()
        self.report()

    def report(self) -> None:
        """Tell what was mended; a repository with files that stay damaged has failed."""
        for name in sorted({*self._result.mended, *self._result.lost}):
            ref = Ref(Kind.REPOSITORY, name)
            known = self._reported.setdefault(name, set())
            problems = [text for text in self._result.problems(name) if text not in known]
            known.update(problems)
            if problems:
                self._report.amend(ref, FAILED, "\n".join(problems))
            if message := self._result.message(name):
                before = self._report.result(ref)
                self._report.amend(ref, DONE if before in (None, UNCHANGED) else before, message)
        self._result = RepairResult()

    def _check_copies(self, repository: Repository, content: ContentChanges) -> None:
        copies = {
            source.id for source in repository.sources if source.kind is SourceKind.REPOSITORY
        }
        if not copies:
            return
        session = self._session
        for batch in pending_groups(content):
            wanted = {
                artifact_digest(artifact)
                for group in batch
                for source, line in group.additions()
                if source in copies
                for artifact in line.artifacts
            }
            reliable_sizes(session.store, session.writer, wanted, now=session.clock())
