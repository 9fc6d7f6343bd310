"""Ownership of group names among the sources of one repository.

The rule that keeps a public package out of a private name. It is written here and nowhere else:
planning, `explain` and uploads ask `NameOwnership`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate

from reconciler.database import WITHDRAWN_GONE, CommittedGroup
from reconciler.engine.sources.source_responses import GONE
from reconciler.model import UPLOAD


@dataclass(frozen=True, slots=True)
class NameRuling:
    """Ruling on a source and a name; allows content if no reason against it is set.

    At most one reason is set.

    Attributes:
        owner: The source that owns the name instead.
        unavailable: An earlier source that could not be asked completely and may have the name.
    """

    owner: str = ""
    unavailable: str = ""

    @property
    def allowed(self) -> bool:
        return not (self.owner or self.unavailable)


ALLOWED = NameRuling()


class NameOwnership:
    """The first source that has a name owns it.

    1. Sources are asked in the order of the manifest. The first one that has a name owns it; no
       later source brings anything under it, nor is it asked about it.
    2. A source has the names that it lists, also those that a rule refuses, those whose reading
       failed and those that upstream withdrew (quarantine). A name that upstream reports as gone,
       or that the source releases, is free for the next source.
    3. A source that could not be asked, or not completely, keeps the names that it is committed
       to. Behind it no source gains a name: it goes on with those that it is committed to itself.
    4. Uploads own every name under which they hold something, before any other source and wherever
       `upload` stands in the manifest. A new name is open to uploads unless a source that stands
       before `upload` is committed to it.
    5. Where groups are shared, as with files that are grouped by a hash, names have no owners.
    6. Names that are reserved are the uploads', before anything is uploaded: no other source brings
       them, also where it is committed to them and wherever it stands.

    A source is *committed* to a name when the latest version records an answer of that source for
    it other than "gone". The order of the names of one source makes no difference.

    Args:
        sources: The ids of the sources, in the order of the manifest.
        shared_groups: True if several sources may fill one group (rule 5).
        reserved: Globs of names (rule 6).
    """

    def __init__(
        self, sources: Sequence[str], *, shared_groups: bool = False, reserved: Sequence[str] = ()
    ) -> None:
        self._sources = tuple(sources)
        self._shared = shared_groups
        self.reserved = tuple(sorted(set(reserved)))
        self._is_reserved = re.compile("|".join(map(translate, self.reserved)) or r"(?!)").match
        self._owners: dict[str, str] = {}
        self._incomplete: list[str] = []

    @property
    def contested(self) -> bool:
        """True if one source could take a name from another."""
        return not self._shared and len(self._sources) > 1

    @property
    def owners(self) -> Mapping[str, str]:
        """The owner of each name that is owned so far."""
        return self._owners

    @property
    def incomplete(self) -> bool:
        """True if some source could not be asked completely."""
        return bool(self._incomplete)

    def owner(self, name: str) -> str | None:
        return UPLOAD if self._is_reserved(name) else self._owners.get(name)

    def before(self, source: str) -> tuple[str, ...]:
        """Return the sources that stand before `source`; all of them if it is not declared."""
        if source not in self._sources:
            return self._sources
        return self._sources[: self._sources.index(source)]

    def after(self, source: str) -> tuple[str, ...]:
        """Return the sources that stand after `source`; none if it is not declared."""
        return self._sources[len(self.before(source)) + 1 :]

    def is_followed(self, source: str) -> bool:
        """Return True if a later source has to know the names of this one."""
        return not self._shared and bool(self.after(source))

    def unavailable_before(self, source: str) -> str:
        """Return the first source before this one that could not be asked completely, or ""."""
        earlier = () if self._shared else self.before(source)
        return next((candidate for candidate in self._incomplete if candidate in earlier), "")

    def ruling(self, source: str, name: str, committed: CommittedGroup | None) -> NameRuling:
        """Decide whether `source` may bring content under `name`.

        `committed`: what is recorded of this source under the name; it matters only behind a
        source that could not be asked completely.
        """
        owner = self.owner(name)
        if owner is not None and owner != source:
            return NameRuling(owner=owner)
        if owner == source or self._shared or not self._incomplete or is_committed(committed):
            return ALLOWED
        return NameRuling(unavailable=self.unavailable_before(source))

    def allows(self, source: str, name: str, committed: Mapping[str, CommittedGroup]) -> bool:
        """Return True if `ruling` allows it; `committed`: what is recorded of this source.

        Asked of every name that a source lists: mostly no name has an owner yet.
        """
        if not self._incomplete and not self.reserved and name not in self._owners:
            return True
        return self.ruling(source, name, committed.get(name)).allowed

    def allows_all(self) -> bool:
        """Return True if no name has, or may have, an owner yet: then each name is allowed."""
        return not self._incomplete and not self._owners and not self.reserved

    def claim(self, source: str, names: Iterable[str]) -> None:
        """Give `source` the names that it has, those excepted that another one owns already."""
        if not self._shared:
            for name in names:
                self._owners.setdefault(name, source)

    def claim_committed(self, source: str, committed: Mapping[str, CommittedGroup]) -> None:
        """Give `source` the names that it is committed to."""
        self.claim(source, committed_names(committed))

    def reserve_uploads(self, committed: Mapping[str, CommittedGroup]) -> None:
        """Give uploads their names; call this before any source claims some (rule 4)."""
        self.claim_committed(UPLOAD, committed)

    def release(self, source: str, name: str) -> None:
        """Free a name of `source` for the next one; the names of others stay with them."""
        if self._owners.get(name) == source:
            del self._owners[name]

    def mark_unavailable(self, source: str) -> None:
        """Record that `source` could not be asked, or not completely (rule 3)."""
        self._incomplete.append(source)


def is_committed(group: CommittedGroup | None) -> bool:
    """Return True if what is recorded of a source under a name makes the name the source's."""
    return group is not None and group.validator not in (GONE, WITHDRAWN_GONE)


def committed_names(groups: Mapping[str, CommittedGroup]) -> Iterator[str]:
    """Yield the names that a source is committed to."""
    return (name for name, group in groups.items() if is_committed(group))
