"""Artifacts made out of other ones: what publications show in the place of what a unit declares.

A row says of a unit, and of a path in it, that other bytes are shown there than its source
declares: those of `sha256`, or none. `within`: path of the unit's artifact to make them of, while
the bytes of that are not here. `seq` grows with every change, so that a publication knows which
rows it has not seen; 0: it has waited since the unit was examined first, before any was published.
Identities of units and versions know nothing of this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sqlalchemy import bindparam, case, exists, func, literal_column, select, update
from sqlalchemy.sql.base import Executable

from reconciler.database import unit_paths
from reconciler.database.artifacts import keep
from reconciler.database.bulk import Bulk, batches, insert_for, listed, parameter
from reconciler.database.extractable_units import units_examined
from reconciler.database.records import Derivation, DerivedArtifact, ExaminedUnit, UnitName
from reconciler.database.schema import (
    artifact,
    derived_artifact,
    extractable_unit,
    generation,
    membership,
    repository,
    repository_group,
    unit,
)
from reconciler.database.session import Reading, Writing
from reconciler.database.versions import STREAM, at
from reconciler.model import Digest, StoredArtifact, stored_unit

_rows = derived_artifact.c
_REPOSITORY = parameter("repository_id", membership.c.repository_id)
_NUMBER = parameter("number", membership.c.added)
_MEMBER = exists(
    select(1).where(
        membership.c.repository_id == _REPOSITORY, membership.c.unit_id == unit.c.id, at(_NUMBER)
    )
)
_MARKER = select(repository.c.number, repository.c.derived).where(repository.c.id == _REPOSITORY)
_UNEXAMINED = (
    select(unit.c.id, unit.c.body)
    .where(
        unit.c.id.in_(
            select(membership.c.unit_id).where(
                membership.c.repository_id == _REPOSITORY,
                membership.c.added > parameter("after", membership.c.added),
                membership.c.added <= _NUMBER,
            )
        ),
        ~exists(select(1).where(_rows.unit_id == unit.c.id)),
    )
    .order_by(unit.c.id)
)
_EXTRACTABLE = (
    select(unit.c.id, unit.c.body)  # no join, which might begin with the units: all that there are
    .where(unit.c.id.in_(select(extractable_unit.c.unit_id)), _MEMBER)
    .order_by(unit.c.id)
)
_ANY_EXTRACTABLE = _EXTRACTABLE.limit(1)
_SHOWN = (
    select(unit.c.digest, unit_paths.OF_DERIVED, _rows.sha256)
    .join(derived_artifact, _rows.unit_id == unit.c.id)
    .where(_rows.within.is_(None), _MEMBER)
)
_EVER_CHANGED = _rows.seq != literal_column("0")  # as the index says it
_SEQ = select(func.coalesce(func.max(_rows.seq), 0)).where(_EVER_CHANGED)
_OF_GROUPS = (
    select(
        *(unit.c.group_name, unit.c.type, unit.c.key),
        *(unit_paths.OF_DERIVED, _rows.sha256, artifact.c.size),
    )
    .distinct()
    .join_from(repository_group, membership, membership.c.group_id == repository_group.c.id)
    .join(unit, unit.c.id == membership.c.unit_id)
    .join(derived_artifact, _rows.unit_id == unit.c.id)
    .outerjoin(artifact, artifact.c.sha256 == _rows.sha256)
    .where(
        repository_group.c.repository_id == _REPOSITORY,
        repository_group.c.name.in_(listed("names")),
        at(_NUMBER),
    )
)
_CHANGED = exists(  # no join, which would begin with the members: all that there is
    select(1).where(
        _EVER_CHANGED,
        _rows.seq > parameter("since", _rows.seq),
        exists(
            select(1).where(
                membership.c.repository_id == _REPOSITORY,
                membership.c.unit_id == _rows.unit_id,
                at(_NUMBER),
            )
        ),
    )
)
# One writer at a time: a change that is committed later never has a lower number.
_IN_TURN = select(generation.c.value).with_for_update()
_GROUPS = (
    select(unit.c.group_name)
    .join(derived_artifact, _rows.unit_id == unit.c.id)
    .where(_EVER_CHANGED, _rows.seq > parameter("since", _rows.seq), _MEMBER)
    .distinct()
)


def _recording(dialect: str) -> Executable:
    """Return the INSERT of a row, which overwrites one that exists, as a change."""
    within, seq = parameter("within", _rows.within), parameter("seq", _rows.seq)
    row = select(
        unit.c.id,
        unit_paths.to_row(parameter("path", _rows.path)),
        parameter("sha256", _rows.sha256),
        unit_paths.to_row(within),
        case((within.is_(None), seq), else_=literal_column("0")),
    ).where(unit.c.id == parameter("unit_id", _rows.unit_id))
    made = insert_for(dialect, derived_artifact).from_select(_COLUMNS, row)
    shown = {"sha256": made.excluded.sha256, "within": made.excluded.within}
    return made.on_conflict_do_update(
        index_elements=["unit_id", "path"], set_={**shown, "seq": seq}
    )


_COLUMNS = ("unit_id", "path", "sha256", "within", "seq")
_RECORD = Bulk(_recording, *_COLUMNS)
_EXAMINED = (
    update(repository)
    .where(repository.c.id == bindparam("of_repository"))
    .values(derived=bindparam("examined"))
)


class DerivedReads(Reading):
    """Reads of what publications show in the place of declared artifacts."""

    def examined(self, repository_id: int) -> tuple[int, int]:
        """Return the latest version of a repository, and the last one whose units were examined."""
        with self._reading.connect() as connection:
            number, examined = connection.execute(_MARKER, {"repository_id": repository_id}).one()
            return number, examined

    def unexamined_units(
        self, repository_id: int, after: int, number: int
    ) -> Iterator[ExaminedUnit]:
        """Yield units that joined after version `after`, up to version `number`."""
        values = {"repository_id": repository_id, "after": after, "number": number}
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            for id_, body in connection.execute(_UNEXAMINED, values):
                yield ExaminedUnit(id_, stored_unit(body))

    def extractable_units(self, repository_id: int, number: int) -> Iterator[ExaminedUnit]:
        """Yield units of a version whose containers came into the store, or whose bytes left it."""
        values = {"repository_id": repository_id, "number": number}
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            for id_, body in connection.execute(_EXTRACTABLE, values):
                yield ExaminedUnit(id_, stored_unit(body))

    def has_extractable_units(self, repository_id: int, number: int) -> bool:
        """Return True if `extractable_units` yields any."""
        values = {"repository_id": repository_id, "number": number}
        with self._reading.connect() as connection:
            return connection.execute(_ANY_EXTRACTABLE, values).first() is not None

    def derivation(
        self, repository_id: int, number: int, *, known: Derivation | None = None
    ) -> Derivation:
        """Return the identity of what a version shows in the place of declared artifacts.

        `known`: of the same version, some time ago; where nothing has changed since, it stands.
        """
        values = {"repository_id": repository_id, "number": number}
        with self._reading.connect() as connection:
            if known is not None:
                since = values | {"since": known.seq}
                if not connection.execute(select(_CHANGED), since).scalar_one():
                    return known
            shown = connection.execute(_SHOWN, values).all()
            seq = connection.execute(_SEQ).scalar_one()
        rows = [(unit.hex(), path, raw.hex() if raw else "") for unit, path, raw in shown]
        rows.sort()
        return Derivation(Digest.of_value(rows) if rows else None, seq)

    def derived_artifacts(
        self, repository_id: int, number: int, names: Iterable[str]
    ) -> Mapping[UnitName, Mapping[str, StoredArtifact | None]]:
        """Return by unit and path what is shown there; None: nothing."""
        shown: dict[UnitName, dict[str, StoredArtifact | None]] = {}
        values = {"repository_id": repository_id, "number": number}
        with self._reading.connect() as connection:
            for batch in batches(names):
                rows = connection.execute(_OF_GROUPS, {**values, "names": batch})
                for group, type_, key, path, raw, size in rows:
                    made = None if raw is None else StoredArtifact(path, Digest(raw).hex, size)
                    shown.setdefault((group, type_, key), {})[path] = made
        return shown

    def derived_groups(self, repository_id: int, number: int, since: int) -> list[str]:
        """Return groups of a version of which other artifacts are shown since `since`."""
        values = {"repository_id": repository_id, "number": number, "since": since}
        with self._reading.connect() as connection:
            return list(connection.execute(_GROUPS, values).scalars())


class DerivedWrites(Writing):
    """Records of derived artifacts."""

    def record_derived(
        self,
        derived: Sequence[DerivedArtifact],
        sizes: Mapping[Digest, int],
        *,
        examined: Collection[int],
    ) -> None:
        """Record what is shown of the examined units.

        Args:
            derived: What is shown of some of them.
            sizes: Bytes of what was made, which are stored.
            examined: IDs of the units, also of those of which nothing is shown.
        """
        with self._writing.begin() as connection:
            keep(connection, sorted((digest.raw, size, True) for digest, size in sizes.items()))
            if derived:
                connection.execute(_IN_TURN)
                seq = connection.execute(_SEQ).scalar_one() + 1
                _RECORD(connection, [_row(made, seq) for made in derived])
            units_examined(connection, examined)

    def mark_examined(self, repository_id: int, number: int) -> None:
        """Record that the units of every version up to `number` were examined."""
        with self._writing.begin() as connection:
            connection.execute(_EXAMINED, {"of_repository": repository_id, "examined": number})


def _row(made: DerivedArtifact, seq: int) -> tuple[object, ...]:
    sha256 = None if made.digest is None else made.digest.raw
    return (made.unit_id, made.path, sha256, made.within, seq)
