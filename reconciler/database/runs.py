"""The journal of runs: what was applied, when, and the outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, insert, select, update

from reconciler.database.columns import from_json, to_digest, to_json, to_raw
from reconciler.database.records import Outcome, RunRecord
from reconciler.database.schema import run
from reconciler.database.session import Reading, Writing
from reconciler.model import Digest, canonical

_NEWEST = select(run).order_by(run.c.id.desc()).limit(bindparam("limit"))
_OUTCOMES = msgspec.json.Decoder(tuple[Outcome, ...])


class RunReads(Reading):
    """Recorded runs."""

    def runs(self, limit: int) -> list[RunRecord]:
        """Return the last runs, newest first."""
        with self._reading.connect() as connection:
            return [
                RunRecord(
                    row.id,
                    row.started_at,
                    row.finished_at,
                    to_digest(row.plan_digest),
                    to_digest(row.manifest_digest),
                    from_json(row.provenance),
                    _OUTCOMES.decode(row.outcomes),
                )
                for row in connection.execute(_NEWEST, {"limit": limit})
            ]


class RunWrites(Writing):
    """Record runs."""

    def start_run(
        self,
        *,
        plan_digest: Digest | None,
        manifest_digest: Digest | None,
        provenance: Mapping[str, object],
        now: datetime,
    ) -> int:
        """Record that a run begins; return its ID."""
        row = {
            "started_at": now,
            "plan_digest": to_raw(plan_digest),
            "manifest_digest": to_raw(manifest_digest),
        }
        with self._writing.begin() as connection:
            statement = (
                insert(run)
                .values(row | {"provenance": to_json(provenance), "outcomes": "[]"})
                .returning(run.c.id)
            )
            return int(connection.execute(statement).scalar_one())

    def finish_run(self, id_: int, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Record the end of a run and its outcomes."""
        written = canonical([msgspec.to_builtins(outcome) for outcome in outcomes]).decode()
        with self._writing.begin() as connection:
            connection.execute(
                update(run).where(run.c.id == id_).values(finished_at=now, outcomes=written)
            )
