"""One repository becomes what was planned: its content is synced under its lease."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from reconciler.database import CommitResult
from reconciler.engine.applying.content_sync import ContentSync
from reconciler.engine.applying.staging import committed_counts
from reconciler.engine.plugin_calls.plugin_errors import error_text
from reconciler.engine.run.lease import leased
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.source_urls import SourceUrls
from reconciler.engine.transfer.artifact_fetcher import SourceAccess
from reconciler.errors import Conflict
from reconciler.model import DesiredState, Repository, SourceKind
from reconciler.plan import ContentChanges, counts_text

MAX_LISTED = 10  # groups that a message names

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class SyncResult:
    """Outcome for the content of one repository.

    Attributes:
        number: The version that holds everything that was planned; None where something failed, or
            nothing was planned.
        message: What was committed, and warnings, in lines; empty if nothing a user would see.
        problems: What failed, one line each.
        conflict: Another run changed the repository meanwhile: plan again.
        cause: As of an Outcome.
    """

    number: int | None = None
    message: str = ""
    problems: list[str] = field(default_factory=list)
    conflict: bool = False
    cause: str = ""

    @property
    def text(self) -> str:
        return "\n".join(([self.message] if self.message else []) + self.problems)


class RepositorySync:
    """Brings repositories to their planned content, each under its own lease."""

    def __init__(
        self, session: WritingSession, desired: DesiredState, provenance: Mapping[str, Any]
    ) -> None:
        """`provenance`: recorded with the versions that are made, beside the plugin."""
        self._session = session
        self._desired = desired
        self._provenance = provenance
        self._urls = SourceUrls(session, desired)

    async def sync(
        self,
        repository: Repository,
        content: ContentChanges,
        *,
        repository_id: int,
        plugin_version: str,
    ) -> SyncResult:
        """Carry out the content changes of one repository. Failures are in the result."""
        result = SyncResult(
            problems=[str(failure) for failure in content.failures],
            cause=next((failure.cause for failure in content.failures if failure.cause), ""),
        )
        if not content.touched:
            return result
        try:
            async with leased(
                self._session.writer,
                str(repository.meta.ref),
                self._session.clock,
                patience=self._session.patience,
            ):
                logger.debug("lease taken")
                sync, commit = await self._commit(
                    repository, content, repository_id=repository_id, plugin_version=plugin_version
                )
            _add_commit(result, content, sync, commit=commit)
        except Conflict as error:
            result.conflict = True
            result.problems.append(str(error))
        except Exception as error:  # a full disk, a locked database: other repositories go on
            result.problems.append(error_text(error))
        return result

    async def _commit(
        self,
        repository: Repository,
        content: ContentChanges,
        *,
        repository_id: int,
        plugin_version: str,
    ) -> tuple[ContentSync, CommitResult]:
        task = self._session.progress.task(f"fetching {repository.meta.name}", content.plural)
        provenance = {
            **self._provenance,
            "plugin": {"id": repository.type, "version": plugin_version},
        }
        try:
            access = self._access(repository, content)
            remotes = self._desired.remotes_of(repository.meta.name)
            sync = ContentSync(
                self._session,
                repository_id,
                access,
                remotes=remotes,
                task=task,
                urls=partial(self._urls.of_group, repository.meta.name),
            )
            try:
                await sync.fetch(content)
                return sync, await sync.commit(content, provenance)
            except BaseException:
                await sync.discard()
                raise
        finally:
            task.done()

    def _access(self, repository: Repository, content: ContentChanges) -> dict[str, SourceAccess]:
        """Return how the files of each remote are fetched.

        A source that could not be listed has no access: not even its secrets may be readable.
        """
        failed = {failure.source for failure in content.failures if failure.group is None}
        unlisted = failed - content.sources.keys()
        return {
            source.id: SourceAccess.of(self._session.remotes, remote)
            for source in repository.sources
            if source.kind is SourceKind.REMOTE and source.id not in unlisted
            for remote in [self._desired.remotes[source.name]]
        }


def _add_commit(
    result: SyncResult, content: ContentChanges, sync: ContentSync, *, commit: CommitResult
) -> None:
    """Put into the result what was committed, and what was left out."""
    failures = [str(failure) for failure in sync.failures]
    skipped = sorted({group for group, _ in (*sync.skipped, *sync.clashes)})
    result.conflict = result.conflict or bool(skipped)
    if sync.skipped:
        moved = sorted({group for group, _ in sync.skipped})
        failures.append(f"changed since they were planned: {_listed(moved)}")
    failures.extend(sorted(sync.clashes.values()))
    if not failures:
        result.number = commit.number
    result.problems.extend(failures)
    if content.counts.total:
        counts = replace(
            committed_counts(content, sync.failures, skipped),
            download=0,
            unsized=0,
            upstream=0,
            upstream_unsized=0,
        )
        what = f", {counts_text(counts, content.plural)}" if commit.created else ", unchanged"
        result.message = f"version {commit.number} {commit.digest}{what}"
    warnings = list(sync.warnings.lines())
    result.message = "\n".join([result.message, *warnings] if result.message else warnings)


def _listed(groups: Sequence[str]) -> str:
    more = len(groups) - MAX_LISTED
    listed = ", ".join(f"`{name}`" for name in groups[:MAX_LISTED])
    return f"{listed} and {more} more" if more > 0 else listed
