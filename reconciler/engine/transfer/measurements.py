"""Measure files for which upstream declares no digest.

They are downloaded while planning, so that the plan can name them, and kept for the execution of
that plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from reconciler.engine.transfer.remotes import Remotes
from reconciler.model import Digest, Remote
from reconciler.remote import Measurement, MeasurementCache, measure
from reconciler.retrying import RetryPolicy
from reconciler.store.temporary_trees import TemporaryTree

Digests = tuple[tuple[str, str], ...]  # declared ones by algorithm, sorted
Place = tuple[
    str, str, Digests
]  # remote, URL: what one remote is shown another may be refused, or shown otherwise


class Measurements:
    """Files measured in one run, in a temporary folder that `close` removes."""

    def __init__(self) -> None:
        self._folder: TemporaryTree | None = None
        self._arriving: dict[Place, asyncio.Future[Measurement]] = {}
        self._files: dict[Digest, Path] = {}
        self._measures: dict[str, MeasurementCache] = {}

    def begin(self) -> None:
        """Start another plan: URLs are measured anew, files that were measured stay."""
        self._arriving = {
            place: arriving for place, arriving in self._arriving.items() if not arriving.done()
        }

    async def measure(
        self,
        remotes: Remotes,
        remote: Remote,
        url: str,
        *,
        limit: int,
        digests: Mapping[str, str],
    ) -> Measurement:
        """Return digest and size of a file, downloading it at most once in a plan.

        `limit`: bytes that are read at most. `digests` are declared ones other than sha256. Raises
        DigestMismatch if the bytes do not have them, and what the remote raises.
        """
        place = (remote.meta.name, url, tuple(sorted(digests.items())))
        arriving = self._arriving.get(place)
        if arriving is None:
            arriving = self._arriving[place] = asyncio.ensure_future(
                self._fetch(remotes, remote, url, limit=limit, digests=digests)
            )
        return await asyncio.shield(arriving)

    def file(self, digest: Digest) -> Path | None:
        """Return the path of a measured file, or None."""
        return self._files.get(digest)

    def forget_measurement(self, remote: str, url: str) -> None:
        """Forget what was measured for `url`: the next plan measures it again."""
        if remote in self._measures:
            self._measures[remote].drop(url)

    async def close(self) -> None:
        """Cancel running measurements and remove the folder."""
        for arriving in self._arriving.values():
            arriving.cancel()
        await asyncio.gather(*self._arriving.values(), return_exceptions=True)
        self._arriving.clear()
        self._files.clear()
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    async def _fetch(
        self,
        remotes: Remotes,
        remote: Remote,
        url: str,
        *,
        limit: int,
        digests: Mapping[str, str],
    ) -> Measurement:
        if self._folder is None:
            self._folder = TemporaryTree()
        measures = self._measures[remote.meta.name] = remotes.measures(remote)
        fetcher = None if remotes.offline else remotes.fetcher(remote)
        measured = await measure(
            fetcher,
            measures,
            url,
            into=self._folder.path,
            retry=RetryPolicy(attempts=1 + remote.retries),
            limit=limit,
            digests=digests,
        )
        if measured.path is not None:
            self._files[Digest.parse(measured.sha256)] = measured.path
        return measured
