"""Sources of the kind `remote`: what high-level and low-level importers have in common."""

from __future__ import annotations

from functools import partial

from reconciler.engine.plugin_calls.plugin_settings import settings_digest
from reconciler.engine.plugin_calls.upstream_conduits import SourceContext
from reconciler.engine.sources.outcome_keys import under_remote_keys, under_repository_keys
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_artifacts import RemoteArtifacts
from reconciler.engine.sources.source_resolver import SourceResolver
from reconciler.model import IMMEDIATE, Digest, Remote, Source


class RemoteSource(SourceResolver):
    """A source with a remote: where to ask, what to download, and what to leave there."""

    def __init__(
        self,
        resolution: RepositoryResolution,
        source: Source,
        selection: Selection,
        *,
        remote: Remote,
    ) -> None:
        session = resolution.session
        with session.call_timeouts.named(resolution.call("well_known")):
            url = session.remotes.url(remote)
        self._remote = remote
        self._remote_artifacts = RemoteArtifacts(session, remote)
        super().__init__(
            resolution,
            source,
            selection,
            rules_digest=_remote_rules_digest(
                url,
                selection,
                remote,
                revision=resolution.importer_class.revision,
                settings=settings_digest(source.config, source.options),
            ),
            artifacts=self._remote_artifacts,
        )
        self._context = SourceContext(
            url,
            source.options,
            source.config,
            selection.filters,
            selection.now,
            selection.needs_first_seen,
            selection.with_first_seen,
            partial(session.remotes.pages, remote),
            partial(session.remotes.files, remote),
            session.workdirs.temporary(resolution.repository.meta.name, resolution.owner),
            resolution.findings.scratchpads,
            resolution.owner,
        )

    def _rules_digest_with(self, selection: Selection) -> Digest:
        """Return what the digest of rules would be with another selection."""
        rules = _remote_rules_digest(
            self._context.url,
            selection,
            self._remote,
            revision=self._resolution.importer_class.revision,
            settings=settings_digest(self._source.config, self._source.options),
        )
        return under_repository_keys(rules, self._resolution.repository)

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            self._context.place.close()


def _remote_rules_digest(
    url: str, selection: Selection, remote: Remote, *, revision: int, settings: Digest | None
) -> Digest:
    """Return the digest of what decisions about a remote rest on.

    Validators are one index's own, a policy that left bytes upstream has not brought them in, other
    hosts, users or certificates may have been answered otherwise, and an importer may learn to read
    better, or be set to read otherwise.
    """
    rules = Digest.of_value(
        [url, selection.digest.hex]
        + ([remote.policy] if remote.policy != IMMEDIATE else [])
        + ([revision] if revision != 1 else [])
        + ([[str(settings)]] if settings else [])
    )
    return under_remote_keys(rules, remote)
