"""Publications of a repository that changed by hand: released at once, or told to be late."""

from __future__ import annotations

import asyncio
from functools import partial

from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.engine.publishing.release import release_publication
from reconciler.engine.publishing.release_target import ReleasePolicy
from reconciler.engine.run.lease import wait_for_lease
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.version_reference import VersionReference
from reconciler.errors import ReconcilerError
from reconciler.model import DesiredState, Publication


async def release_publications(
    session: WritingSession, desired: DesiredState, repository: str
) -> tuple[list[str], list[str]]:
    """Release the publications of the latest version.

    Returns the paths that show it, and why others do not show it yet. That is no failure of the
    change: it is recorded, and a client that heard of a failure would send it again.
    """
    shown: list[str] = []
    delayed: list[str] = []
    for publication in desired.publications.values():
        reference = VersionReference(publication.version)
        if publication.repository != repository or not reference.is_latest:
            continue
        try:
            await wait_for_lease(partial(_release, session, desired, publication))
            shown.append(f"/{publication.path}/")
        except (ReconcilerError, OSError) as error:
            delayed.append(
                f"publication `{publication.meta.name}` does not show it yet:"
                f" {error_message(error)}"
            )
    return shown, delayed


async def _release(session: WritingSession, desired: DesiredState, publication: Publication) -> str:
    actual = await asyncio.to_thread(session.writer.actual_state)
    guard = desired.repositories[publication.repository].guard
    policy = ReleasePolicy(desired, guard=guard)
    return await release_publication(session, publication, actual, policy=policy)
