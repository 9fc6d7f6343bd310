"""The index files of a suite that a source asks for, and the choice among their compressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from reconciler.plugin import Refused
from reconciler_deb.control.compression import ENDINGS
from reconciler_deb.reading.suite_names import FLAT_COMPONENT, suite_folder
from reconciler_deb.releases.release_file import IndexFile, Release

ALL: Final = "all"
SOURCE: Final = "source"
ANY: Final = ""
_EMPTY: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class ListedIndex(msgspec.Struct, frozen=True):
    """One index of a suite: the packages of a component for an architecture; empty for any.

    `plain`: what it is once it is unpacked, None where the Release does not say. `choices`: files
    that hold it, the best first.
    """

    component: str
    architecture: str
    plain: IndexFile | None
    choices: Sequence[tuple[str, IndexFile]]

    @property
    def digest(self) -> str:
        """A digest that changes whenever the index does."""
        return (self.plain or self.choices[0][1]).sha256


def index_path(component: str, architecture: str) -> str:
    """Return the path of an index below the suite, uncompressed."""
    if architecture == SOURCE:
        return f"{component}/source/Sources"
    return f"{component}/binary-{architecture}/Packages"


def wanted_indexes(
    release: Release, components: Sequence[str], architectures: Sequence[str]
) -> list[ListedIndex]:
    """Return the indexes of these components and architectures; of all that there are, for none.

    Raises Refused for one that the suite does not have.
    """
    indexes = (
        _listed_index(
            release, index_path(component, architecture), component, architecture=architecture
        )
        for component in _components(release, components)
        for architecture in _architectures(release, architectures)
    )
    return [index for index in indexes if index is not None]


def flat_indexes(release: Release, architectures: Sequence[str]) -> list[ListedIndex]:
    """Return the indexes of a flat archive, which holds packages of all architectures in one.

    Raises Refused where the Release lists none.
    """
    places = {ANY: "Packages"} if set(architectures) != {SOURCE} else {}
    places |= {SOURCE: "Sources"} if SOURCE in architectures else {}
    paths = [path for path in places.values() if not _is_listed(release, path)]
    if paths:
        raise Refused(
            f"it lists no `{paths[0]}`",
            hint="a suite whose name ends in a slash is the folder of a flat archive",
        )
    indexes = (
        _listed_index(release, path, FLAT_COMPONENT, architecture=architecture)
        for architecture, path in places.items()
    )
    return [index for index in indexes if index is not None]


def _is_listed(release: Release, path: str) -> bool:
    return any(f"{path}{ending}" in release.indexes for ending in ENDINGS)


def _components(release: Release, wanted: Sequence[str]) -> list[str]:
    listed = release.words("components")
    for component in wanted:
        if component not in listed:
            raise Refused(
                f"it has no component `{component}`",
                hint=f"it has {_listing(listed)}",
            )
    return list(dict.fromkeys(wanted or listed))


def _architectures(release: Release, wanted: Sequence[str]) -> list[str]:
    """Return the architectures whose indexes are read; some archives have one of `all`."""
    listed = [name for name in release.words("architectures") if name != SOURCE]
    binary = [name for name in wanted if name != SOURCE]
    for architecture in binary:
        if architecture not in listed and architecture != ALL:
            raise Refused(
                f"it has no architecture `{architecture}`",
                hint=f"it has {_listing(listed)}",
            )
    chosen = binary or ([] if wanted else listed)
    if binary == [ALL] and ALL not in listed:
        raise Refused(
            "it has no index of `all` alone",
            hint="name an architecture as well: its index lists them",
        )
    if binary and ALL in listed:
        chosen = [*chosen, ALL]
    return list(dict.fromkeys([*chosen, *([SOURCE] if SOURCE in wanted else [])]))


def _listing(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:30]) or "none"


def _listed_index(
    release: Release, path: str, component: str, *, architecture: str
) -> ListedIndex | None:
    """Return an index; None where the Release lists none, or an empty one: that is its answer."""
    plain = release.indexes.get(path)
    if plain is not None and (plain.sha256 == _EMPTY or plain.size == 0):
        return None
    choices = list(_choices(release, path))
    return ListedIndex(component, architecture, plain, choices) if choices else None


def _choices(release: Release, path: str) -> Iterator[tuple[str, IndexFile]]:
    for ending in ENDINGS:
        file = release.indexes.get(f"{path}{ending}")
        if file is not None:
            yield ending, file


def index_urls(suite: str, file: IndexFile, *, by_hash: bool) -> list[str]:
    """Return where an index can be had, relative to the archive, the best first.

    Under its digest it stays what it was while the archive moves on.
    """
    plain = f"{suite_folder(suite)}{file.path}"
    folder = plain[: plain.rfind("/") + 1]
    return [f"{folder}by-hash/SHA256/{file.sha256}", plain] if by_hash else [plain]
