"""A version becomes a complete publication: the publisher renders the groups that differ."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from reconciler.database import PublicationRecord, PublicationStage, WithheldUnit
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.plugin_calls.plugin_errors import is_unawaited
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.plugin_lifecycle.plugin_uses import owner_of
from reconciler.engine.publishing.first_seen_units import FirstSeenUnits
from reconciler.engine.publishing.index_entries import IndexEntries, has_indexes
from reconciler.engine.publishing.index_rendering import IndexRenderer
from reconciler.engine.publishing.publish_conduit import PublishConduit
from reconciler.engine.publishing.release_target import ReleaseTarget, publication_digest
from reconciler.engine.publishing.signatures import Signatures
from reconciler.engine.publishing.version_view import VersionView, withheld_units
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.engine.session.session import WritingSession
from reconciler.errors import PluginFault
from reconciler.model import Digest, pluralize

logger = logging.getLogger(__name__)

Withheld = Mapping[Digest, WithheldUnit]


class _Rendering(NamedTuple):
    """Inputs to one rendering beside its target.

    Attributes:
        before: The version to render the difference to; None: everything is rendered anew.
        withheld: All units that filters keep out.
        withheld_before: Those that were kept out at the last rendering.
        derived_groups: Groups of which other derived artifacts are shown since.
    """

    before: int | None
    withheld: Withheld
    withheld_before: Withheld
    derived_groups: Sequence[str] = ()


def render(session: WritingSession, target: ReleaseTarget) -> PublicationRecord:
    """Render the target and complete the publication; the pointer is not moved.

    What the publisher wrote to scratchpads is recorded with it. Runs in a worker thread.

    Raises:
        PluginFault: The publisher failed; names publisher and publication.
        Conflict: A scratchpad that the publisher read and wrote was written over meanwhile.
    """
    call, rendering = _PublisherCall(session, target), _rendering(session, target)
    undated = FirstSeenUnits(session, target.publication)
    view = VersionView(
        session.writer,
        target.version,
        before=rendering.before,
        withheld=withheld_units(rendering.withheld, rendering.withheld_before),
        derived_groups=rendering.derived_groups,
        with_first_seen=undated.with_first_seen if undated else None,
    )
    with session.writer.publish(
        target.current.id,
        version=target.version.number,
        version_digest=target.version.digest,
        digest=target.digest,
        now=session.clock(),
        full=rendering.before is None,
        derivation=target.derivation,
        first_seen=target.first_seen,
    ) as stage:
        call.run(stage, view, full=rendering.before is None)
        record = call.complete(stage, rendering)
    logger.debug(
        "%s: rendered %s",
        target.publication.meta.ref,
        pluralize(len(view.changed_groups()), "group"),
    )
    reached(Checkpoint.PUBLICATION_COMPLETE)
    return record


class _PublisherCall:
    """The call of one publisher, with the scratchpads that it writes."""

    def __init__(self, session: WritingSession, target: ReleaseTarget) -> None:
        self._session = session
        self._target = target
        self._plugin = session.registry.publisher(target.publication.publisher)
        self._name = f"publisher `{self._plugin.id}` of {target.publication.meta.ref}"
        self._scratchpads = ScratchpadSession(
            partial(session.writer.scratchpad, target.version.repository_id)
        )

    def _moment(self) -> datetime:
        """Return the moment of the version: signatures of one text are made at one time."""
        version = self._target.version
        record = self._session.writer.version(version.repository_id, version.number)
        assert record is not None
        return record.created_at

    def run(self, stage: PublicationStage, view: VersionView, *, full: bool) -> None:
        """Have the publisher emit the files of every group, and every index, that differs."""
        assert self._plugin.cls is not None
        publisher: Any = self._plugin.cls
        options = self._target.publication.options
        indexes = None
        if has_indexes(publisher):
            indexes = IndexEntries(publisher, options, stage.indexes)
        with self._session.watch(self._name) as alive, plugin_faults(self._name):
            conduit = self._conduit(stage, view, alive)
            if indexes is not None:
                conduit.list_in(indexes)
            try:
                self._publish(conduit)
                conduit.finish()
                if indexes is not None:
                    IndexRenderer(
                        publisher,
                        conduit,
                        stage,
                        open_summary=conduit.summary,
                        read_chunks=self._session.writer.chunks,
                        full=full,
                        alive=alive,
                    ).render(indexes.changed)
            finally:
                conduit.close()

    def complete(self, stage: PublicationStage, rendering: _Rendering) -> PublicationRecord:
        """Record the publication as complete, with its withheld units and the scratchpads."""
        repository_id = self._target.version.repository_id
        stage.withhold(
            self._target.filtered.summary,
            _reasons(rendering.withheld),
            before=_reasons(rendering.withheld_before),
        )
        try:
            return stage.complete(
                {repository_id: self._scratchpads.written}, {repository_id: self._scratchpads.seen}
            )
        except PluginFault as fault:
            raise PluginFault(f"{self._name}: {fault}", hint=fault.hint) from fault

    def _conduit(
        self, stage: PublicationStage, view: VersionView, alive: Callable[[], None]
    ) -> PublishConduit:
        publication = self._target.publication
        return PublishConduit(
            stage,
            view,
            publication,
            plugin=self._plugin,
            repository=self._session.workdirs.persistent(
                publication.repository, owner_of(self._plugin)
            ),
            scratchpads=self._scratchpads,
            alive=alive,
            signatures=Signatures(self._session.writer, publication.publisher, self._moment),
        )

    def _publish(self, conduit: PublishConduit) -> None:
        assert self._plugin.cls is not None
        if is_unawaited(self._plugin.cls().publish(conduit, conduit.config)):
            raise PluginFault(
                "`publish` is `async`, or a generator, and would never run",
                hint="write `def publish`, without `yield`",
            )


def _reasons(withheld: Withheld) -> Mapping[Digest, str]:
    return {digest: unit.reason for digest, unit in withheld.items()}


def _rendering(session: WritingSession, target: ReleaseTarget) -> _Rendering:
    """Compare the target with the last complete publication.

    Only the difference is rendered where that one shows a version of the same repository, and was
    rendered in the same way.
    """
    writer, current = session.writer, target.current
    last = writer.last_complete(current.id)
    withheld = target.filtered.units
    if withheld is None:  # the same ones that are recorded
        recorded = target.filtered.summary.units
        withheld = writer.withheld(current.id, current.number) if recorded else {}
    if last is None:
        return _Rendering(None, withheld, {})
    withheld_before: Withheld = {}
    if last.verdict.units:
        same = target.filtered.units is None and last.number == current.number
        withheld_before = withheld if same else writer.withheld(current.id, last.number)
    version = writer.version(target.version.repository_id, last.version)
    same_repository = version is not None and version.digest == last.version_digest
    same_rendering = last.digest == publication_digest(
        session.registry,
        target.publication,
        last.version_digest,
        filtered=last.verdict,
        derivation=last.derivation,
        first_seen=last.first_seen,
        secrets=target.secrets,
    )
    if not (same_repository and same_rendering):
        return _Rendering(None, withheld, withheld_before)
    shown = target.version
    groups = writer.derived_groups(shown.repository_id, shown.number, last.derivation.seq)
    return _Rendering(last.version, withheld, withheld_before, groups)
