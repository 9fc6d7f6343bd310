"""The latest version of a repository, group by group, and what was remembered of its sources."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, select

from reconciler.database.bulk import batches, listed, parameter
from reconciler.database.columns import to_digest
from reconciler.database.records import CommittedGroup, CommittedSource, CurrentUnit
from reconciler.database.schema import membership, repository_group, source_group, source_state, unit
from reconciler.database.session import Reading
from reconciler.model import Digest

_REPOSITORY = parameter("repository_id", repository_group.c.repository_id)
_NAMES = listed("names")

_SOURCES = select(source_state.c.source, source_state.c.validator, source_state.c.selection).where(source_state.c.repository_id == _REPOSITORY)
_COMMITTED = select(source_group.c.name, source_group.c.validator, source_group.c.selection, source_group.c.reconsider_at).where(
    source_group.c.repository_id == _REPOSITORY, source_group.c.source == bindparam("source")
)
_DIGESTS = select(repository_group.c.name, repository_group.c.digest).where(
    repository_group.c.repository_id == _REPOSITORY, repository_group.c.name.in_(_NAMES), repository_group.c.digest.is_not(None)
)
_CURRENT = (
    select(repository_group.c.name, unit.c.digest, unit.c.body, membership.c.source)
    .join(membership, membership.c.group_id == repository_group.c.id)
    .join(unit, unit.c.id == membership.c.unit_id)
    .where(repository_group.c.repository_id == _REPOSITORY, repository_group.c.name.in_(_NAMES), membership.c.removed.is_(None))
    .order_by(repository_group.c.name, unit.c.type, unit.c.key, unit.c.digest, membership.c.source)
)


class GroupReads(Reading):
    """What a sync compares with."""

    def committed_sources(self, repository_id: int) -> dict[str, CommittedSource]:
        """How each source stood when its last completed listing was committed."""
        with self._reading.connect() as connection:
            rows = connection.execute(_SOURCES, {"repository_id": repository_id})
            return {source: CommittedSource(validator, to_digest(selection)) for source, validator, selection in rows}

    def committed_groups(self, repository_id: int, source: str) -> dict[str, CommittedGroup]:
        """How each group of a source stood when it was last read whole."""
        with self._reading.connect() as connection:
            rows = connection.execute(_COMMITTED, {"repository_id": repository_id, "source": source})
            return {name: CommittedGroup(name, validator, Digest(selection), again) for name, validator, selection, again in rows}

    def group_digests(self, repository_id: int, names: Iterable[str]) -> dict[str, Digest]:
        """Digests of those groups that hold units now."""
        found: dict[str, Digest] = {}
        with self._reading.connect() as connection:
            for batch in batches(names):
                rows = connection.execute(_DIGESTS, {"repository_id": repository_id, "names": batch})
                found.update((name, Digest(digest)) for name, digest in rows)
        return found

    def current_units(self, repository_id: int, names: Iterable[str]) -> dict[str, list[CurrentUnit]]:
        """Members of groups now, groups that hold none left out, by (type, key). A unit that two sources brought comes once for each."""
        found: dict[str, list[CurrentUnit]] = {}
        with self._reading.connect() as connection:
            for batch in batches(names):
                for name, digest, body, source in connection.execute(_CURRENT, {"repository_id": repository_id, "names": batch}):
                    found.setdefault(name, []).append(CurrentUnit(Digest(digest), body, source))
        return found
