"""All files of a publication that an index lacks, sent one after the other, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from reconciler.engine.plugin_calls.plugin_errors import error_text
from reconciler.engine.pushing.deliveries import Deliveries, NoAccess
from reconciler.engine.pushing.exporter_faults import exporter_faults
from reconciler.engine.pushing.index_comparison import compare_index
from reconciler.engine.pushing.index_target import IndexTarget
from reconciler.engine.pushing.shown_units import ShownUnits
from reconciler.engine.run.progress import ProgressTask
from reconciler.engine.session.session import WritingSession
from reconciler.model import Digest, IndexExport, Publication, StoredArtifact, StoredUnit, pluralize
from reconciler.plan import PlannedPush
from reconciler.plugin import UploadForm
from reconciler.store import Store

MOST_TOLD = 20  # failures of one index that a report names

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class PushOutcome:
    """Outcome for all indexes of a publication.

    Attributes:
        done: What was done, one text for each index.
        failures: What failed, one text for each file or page.
    """

    done: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def push(
    session: WritingSession,
    publication: Publication,
    shown: ShownUnits,
    *,
    planned: Iterable[PlannedPush],
) -> PushOutcome:
    """Send every index of a publication what it lacks.

    Args:
        planned: What the plan of this run has found of what is shown.
    """
    groups = {each.where: each.groups for each in planned}
    outcome = PushOutcome()
    for export in publication.indexes:
        only = groups.get(export.where)
        if only is not None and not only:
            continue
        try:
            await _Push(session, publication, export, outcome=outcome).run(shown, only)
        except Exception as error:  # one index that cannot be asked holds no other one back
            outcome.failures.append(error_text(error))
    return outcome


class _Push:
    """The push to one index."""

    def __init__(
        self,
        session: WritingSession,
        publication: Publication,
        export: IndexExport,
        *,
        outcome: PushOutcome,
    ) -> None:
        self._session = session
        self._publication = publication
        self._target = IndexTarget(session, publication, export)
        self._outcome = outcome
        self._failures: list[str] = []
        self._sent = 0

    async def run(self, shown: ShownUnits, only: Collection[str] | None) -> None:
        """Compare, and send what is missing."""
        compared = await compare_index(self._target, shown, only=only)
        self._failures += [str(failure) for failure in compared.failures]
        self._failures += [f"{self._target.title}: {each}" for each in compared.outcome.different]
        missing = compared.outcome.missing
        try:
            if missing:
                await self._send_all(await asyncio.to_thread(self._in_order, missing))
        finally:
            self._tell()

    def _tell(self) -> None:
        title = self._target.title
        if self._sent:
            self._outcome.done.append(f"sent {pluralize(self._sent, 'file')} to {title}")
        told = self._failures[:MOST_TOLD]
        if more := len(self._failures) - len(told):
            told.append(f"{title}: {pluralize(more, 'more failure')}")
        self._outcome.failures += told

    def _in_order(self, missing: Sequence[StoredUnit]) -> list[StoredUnit]:
        """Return what can be sent, groups that others need first."""
        needs: dict[str, set[str]] = {}
        units: dict[str, list[StoredUnit]] = {}
        for unit in missing:
            form = self._form(unit)
            if form is not None:
                needs.setdefault(unit.group, set()).update(form.needs)
                units.setdefault(unit.group, []).append(unit)
        return [
            unit for group in needed_first(needs) for unit in sorted(units[group], key=self._place)
        ]

    def _place(self, unit: StoredUnit) -> tuple[str, ...]:
        key = self._target.exporter.sort_key(unit)
        return (key,) if isinstance(key, str) else key

    def _form(self, unit: StoredUnit) -> UploadForm | None:
        """Return the form of a unit; None and a failure where it has none."""
        conduit = _FormConduit(self._session.store)
        try:
            with exporter_faults(f"`form` for `{unit.key}`"):
                return self._target.exporter.form(conduit, unit, self._target.options)
        except Exception as error:  # an archive that cannot be read, missing bytes
            self._failures.append(f"{self._target.title}: {unit.key}: {error_text(error)}")
            return None

    async def _send_all(self, units: Sequence[StoredUnit]) -> None:
        deliveries = Deliveries(self._target, self._session.store)
        title = f"{self._publication.meta.ref} to {self._target.title}"
        task = self._session.progress.task(title, "files")
        size = sum(self._target.file_of(unit).size or 0 for unit in units)
        task.expect(len(units), size)
        try:
            for number, unit in enumerate(units):
                if not await self._sends(deliveries, unit, task):
                    left = len(units) - number - 1
                    if left:
                        self._failures.append(
                            f"{self._target.title}: {pluralize(left, 'more file')} not sent"
                        )
                    break
        finally:
            task.done()
            await deliveries.close()

    async def _sends(self, deliveries: Deliveries, unit: StoredUnit, task: ProgressTask) -> bool:
        """Send one unit; return False where going on makes no sense."""
        form = await asyncio.to_thread(self._form, unit)
        if form is None:
            return True
        try:
            arrived = await deliveries.deliver(
                unit, form, counted=lambda size: task.advance(size=size)
            )
        except Exception as error:  # the others go on
            self._failures.append(f"{self._target.title}: {error_text(error)}")
            return not (isinstance(error, NoAccess) and not self._sent)
        task.advance(units=1)
        if arrived:
            self._sent += 1
            logger.info("%s: sent %s", self._target.title, unit.key)
        return True


class _FormConduit:
    """Implements `reconciler.plugin.FormConduit`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, artifact: StoredArtifact) -> BinaryIO:
        return self._store.open(Digest.parse(artifact.sha256))


def needed_first(needs: Mapping[str, Collection[str]]) -> list[str]:
    """Return the groups, each after those that it needs; by name where that leaves it open.

    A circle is entered at its first name.
    """
    order: dict[str, None] = {}
    entered: set[str] = set()
    for root in sorted(needs):
        waiting = [root]
        while waiting:
            name = waiting[-1]
            first = name not in entered
            entered.add(name)
            open_needs = [
                need for need in sorted(needs[name], reverse=True) if need in needs.keys() - entered
            ]
            if first and open_needs:
                waiting += open_needs
            else:
                waiting.pop()
                order.setdefault(name)
    return list(order)
