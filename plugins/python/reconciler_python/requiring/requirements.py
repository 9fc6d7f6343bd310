"""What requirement files ask for: the model that selection, the dependency closure and reading share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain
from typing import NamedTuple

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from reconciler.plugin import Artifact, Malformed, StoredArtifact, Unit
from reconciler_python.reading.filenames import stem_and_type
from reconciler_python.requiring.environments import marker_holds

Environment = Mapping[str, str]
"""A marker environment (PEP 508): variables with their values. What it does not say counts as true."""


class LockedFile(NamedTuple):
    """A file that a lock or `--hash` names. `filename`: empty where only digests are said; `digests`: (algorithm, lower-case hex), if any."""

    filename: str
    digests: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Wanted:
    """One requirement. `project`: normalised; `text`: as written; `place`: `requirements.txt:12`.

    `specifiers`: None for every version, and where `files` alone decide. `marker`: None holds everywhere. `extras`: normalised.
    `files`: none lets every file of the versions in. `package_types`: None lets all in. `prereleases`: None goes by the specifier.
    """

    project: str
    text: str
    place: str
    specifiers: SpecifierSet | None = None
    marker: Marker | None = None
    extras: frozenset[str] = frozenset()
    files: tuple[LockedFile, ...] = ()
    package_types: frozenset[str] | None = None
    prereleases: bool | None = None

    @cached_property
    def sha256s(self) -> frozenset[str]:
        """The digests that are named, in hex."""
        return frozenset(value for algorithm, value in self._by_digest if algorithm == "sha256")

    @cached_property
    def filenames(self) -> frozenset[str]:
        """The files that are named."""
        return frozenset(file.filename for file in self.files if file.filename)

    @cached_property
    def _by_digest(self) -> dict[tuple[str, str], LockedFile]:
        return {digest: file for file in self.files for digest in file.digests}

    @cached_property
    def _undigested(self) -> frozenset[str]:
        return frozenset(file.filename for file in self.files if not file.digests)

    def means(self, version: str, filename: str, artifacts: Iterable[Artifact | StoredArtifact]) -> bool:
        """Is this file of the project asked for? `version` is canonical; `artifacts` are the unit's.

        As of `include`, a specifier means a pre-release where it names one; `--pre` and its like say otherwise.
        """
        if self.files and not self._names(filename, artifacts):
            return False
        if self.package_types is not None and (stem_and_type(filename) or ("", ""))[1] not in self.package_types:
            return False
        return self.contains(version)

    def contains(self, version: str) -> bool:
        """Is this version asked for, whatever the file? `version` is canonical, or one that today's specifications cannot read."""
        parsed = _version(version)
        if self.specifiers is None:
            return not (self.prereleases is False and parsed is not None and parsed.is_prerelease)
        if parsed is None:
            return all(one.operator == "===" and one.version.lower() == version.lower() for one in self.specifiers)
        prereleases = bool(self.specifiers.prereleases) if self.prereleases is None else self.prereleases
        return self.specifiers.contains(parsed, prereleases=prereleases)

    def holds(self, environments: Sequence[Environment]) -> bool:
        """Does the marker hold in one of these environments? Without any it counts as true, but for what it says of extras."""
        return marker_holds(self.marker, environments)

    def _names(self, filename: str, artifacts: Iterable[Artifact | StoredArtifact]) -> bool:
        if filename in self._undigested:
            return True
        for artifact in artifacts:
            if artifact.path != filename:
                continue
            known = dict(digests_of(artifact))
            for digest in known.items():
                file = self._by_digest.get(digest)
                if file is not None and all(known.get(algorithm, value) == value for algorithm, value in file.digests):
                    return True
        return False


class Requirements:
    """Everything that the `requirements` of one source ask for. True where there are any files, also if those ask for nothing."""

    def __init__(self, named: bool = False, wanted: Iterable[Wanted] = ()) -> None:
        self._named = named
        self._by_project: dict[str, list[Wanted]] = {}
        for one in wanted:
            self._by_project.setdefault(one.project, []).append(one)

    def __bool__(self) -> bool:
        return self._named

    def about(self, project: str) -> Sequence[Wanted]:
        """What is asked for of this project, file by file in their order."""
        return self._by_project.get(project, ())

    def projects(self) -> list[str]:
        """Of which projects anything is asked for, by name."""
        return sorted(self._by_project)

    def missing(self, project: str, units: Iterable[Unit]) -> list[tuple[str, Wanted]]:
        """The files named by digest that are not among `units`, which are all that the index offers of the project, before any rule.

        Yanked files count, and those that rules leave out. A file is named by its first digest: `sha256:<hex>`.
        """
        wanted = [one for one in self.about(project) if one.files]
        if not wanted:
            return []
        offered = {digest for unit in units for artifact in unit.artifacts if artifact.path == unit.key for digest in digests_of(artifact)}
        named = chain.from_iterable(((file, one) for file in one.files if file.digests) for one in wanted)
        absent = {file.digests: one for file, one in named if offered.isdisjoint(file.digests)}
        return [(":".join(digests[0]), one) for digests, one in absent.items()]


def check_offered(requirements: Requirements, project: str, units: Iterable[Unit]) -> None:
    """Raises Malformed naming a file that is asked for by digest and not among `units`: all that the index offers of the project."""
    missing = requirements.missing(project, units)
    if missing:
        digest, wanted = missing[0]
        more = f", nor {len(missing) - 1:,} more of those asked for" if len(missing) > 1 else ""
        raise Malformed(
            f"`{project}`: the index offers no file with the digest {digest} of `{wanted.text}` ({wanted.place}){more}",
            hint=f"lock again against this index; or take the project from another source, and `exclude: [{project}]` here",
        )


def narrowed(wanted: Iterable[Wanted], constraints: Iterable[Wanted], environments: Sequence[Environment]) -> list[Wanted]:
    """Requirements within their constraints, which never ask for anything themselves.

    With environments, every one counts for itself. Without, of the marked constraints of a project each is an alternative.
    """
    by_project: dict[str, list[Wanted]] = {}
    for one in constraints:
        by_project.setdefault(one.project, []).append(one)
    found = []
    for one in wanted:
        own = by_project.get(one.project)
        if own is None:
            if one.holds(environments):
                found.append(one)
            continue
        found.extend(dict.fromkeys(_within(one, choice) for choice in _choices(one, own, environments)))
    return found


def _choices(wanted: Wanted, constraints: Sequence[Wanted], environments: Sequence[Environment]) -> list[tuple[Wanted, ...]]:
    if environments:
        held = [tuple(one for one in constraints if one.holds([each])) for each in environments if wanted.holds([each])]
        return list(dict.fromkeys(held))
    always = tuple(one for one in constraints if one.marker is None)
    return [(*always, one) for one in constraints if one.marker is not None] or [always]


def _within(wanted: Wanted, constraints: Sequence[Wanted]) -> Wanted:
    for one in constraints:
        specifiers, other = wanted.specifiers, one.specifiers
        both = specifiers & other if specifiers is not None and other is not None else specifiers if other is None else other
        said = one.text.partition(";")[0].strip()
        wanted = replace(wanted, specifiers=both, files=common_files(wanted.files, one.files), text=f"{wanted.text} within {said} ({one.place})")
    return wanted


def common_files(files: tuple[LockedFile, ...], others: tuple[LockedFile, ...]) -> tuple[LockedFile, ...]:
    """Those that both name; where one names none, the other's."""
    if not files or not others:
        return files or others
    known = {digest for file in others for digest in file.digests}
    return tuple(file for file in files if not known.isdisjoint(file.digests))


def digests_of(artifact: Artifact | StoredArtifact) -> list[tuple[str, str]]:
    """(algorithm, hex) of what is known about the bytes."""
    own = [("sha256", artifact.sha256)] if artifact.sha256 else []
    return [*own, *artifact.digests.items()] if isinstance(artifact, Artifact) and artifact.digests else own


@lru_cache(maxsize=4096)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
