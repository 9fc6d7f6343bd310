"""Requirements: the model that selection, the dependency closure and reading share."""

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
from reconciler_python.reading.pins import pins_version
from reconciler_python.requirements.environments import marker_holds

Environment = Mapping[str, str]
"""A marker environment (PEP 508): variables with their values. What it does not say counts as true.
"""


class LockedFile(NamedTuple):
    """A file that a lock or `--hash` names. `filename`: empty where only digests are stated.

    `digests`: (algorithm, lower-case hex), if any.
    """

    filename: str
    digests: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ProjectRequirement:
    """One requirement. `project`: normalised; `text`: as written; `place`: `requirements.txt:12`.

    `specifiers`: None for every version, and where `files` alone decide. `marker`: None holds
    everywhere. `extras`: normalised. `files`: none lets every file of the versions in.
    `package_types`: None lets all in. `prereleases`: None goes by the specifier. `alternative`: one
    of several ways to read what stands at its place; it is enough that the index has something for
    one of them. `release`: the locked version, where `files` alone decide; empty for none.
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
    alternative: bool = False
    release: str = ""

    @cached_property
    def sha256s(self) -> frozenset[str]:
        """The named digests, in hex."""
        return frozenset(value for algorithm, value in self._by_digest if algorithm == "sha256")

    @cached_property
    def filenames(self) -> frozenset[str]:
        """The named files."""
        return frozenset(file.filename for file in self.files if file.filename)

    @cached_property
    def _by_digest(self) -> dict[tuple[str, str], LockedFile]:
        return {digest: file for file in self.files for digest in file.digests}

    @cached_property
    def _undigested(self) -> frozenset[str]:
        return frozenset(file.filename for file in self.files if not file.digests)

    @cached_property
    def is_pin(self) -> bool:
        """Return True if one version, or single files, are asked for, as a lock does."""
        return bool(self.files) or pins_version(self.specifiers)

    def matches(
        self, version: str, filename: str, artifacts: Iterable[Artifact | StoredArtifact]
    ) -> bool:
        """Return True if this file of the project is asked for.

        `version` is canonical; `artifacts` are the unit's. As of `include`, a specifier means a
        pre-release where it names one; `--pre` and its like say otherwise. A file of which upstream
        states no sha256, nor any digest that is asked for, counts until it was measured.
        """
        if self.files and not self._names(version, filename, artifacts):
            return False
        if (
            self.package_types is not None
            and (stem_and_type(filename) or ("", ""))[1] not in self.package_types
        ):
            return False
        return self.contains(version)

    def contains(self, version: str) -> bool:
        """Return True if this version is asked for, in any file.

        `version` is canonical, or one that today's specifications cannot read.
        """
        parsed = _version(version)
        if self.specifiers is None:
            return not (self.prereleases is False and parsed is not None and parsed.is_prerelease)
        if parsed is None:
            return all(
                specifier.operator == "===" and specifier.version.lower() == version.lower()
                for specifier in self.specifiers
            )
        prereleases = (
            bool(self.specifiers.prereleases) if self.prereleases is None else self.prereleases
        )
        return self.specifiers.contains(parsed, prereleases=prereleases)

    def holds(self, environments: Sequence[Environment]) -> bool:
        """Return True if the marker holds in one of these environments.

        Without any it counts as true, but for what it says of extras.
        """
        return marker_holds(self.marker, environments)

    def may_be(self, file: LockedFile, version: str, artifact: Artifact | StoredArtifact) -> bool:
        """Return True if only the bytes can tell whether an artifact is a file that is asked for.

        `version`: of the artifact.
        """
        if artifact.sha256 or not file.digests:
            return False
        stated = {algorithm for algorithm, _ in digests_of(artifact)}
        if any(algorithm in stated for algorithm, _ in file.digests):
            return False
        if file.filename:
            return file.filename == artifact.path
        return bool(version) and self.contains(version) and self.release in ("", version)

    def _names(
        self, version: str, filename: str, artifacts: Iterable[Artifact | StoredArtifact]
    ) -> bool:
        if filename in self._undigested:
            return True
        for artifact in artifacts:
            if artifact.path != filename:
                continue
            digests = dict(digests_of(artifact))
            named = (self._by_digest.get(digest) for digest in digests.items())
            if any(file is not None and _agree(file, digests) for file in named):
                return True
            if not artifact.sha256 and any(
                self.may_be(file, version, artifact) for file in self.files
            ):
                return True
        return False


class Requirements:
    """All requirements of one source.

    True where there are any files, even if those require nothing.
    """

    def __init__(
        self, named: bool = False, requirements: Iterable[ProjectRequirement] = ()
    ) -> None:
        self._named = named
        self._by_project: dict[str, list[ProjectRequirement]] = {}
        for requirement in requirements:
            self._by_project.setdefault(requirement.project, []).append(requirement)

    def __bool__(self) -> bool:
        return self._named

    def for_project(self, project: str) -> Sequence[ProjectRequirement]:
        """Return what is asked for of this project, file by file in their order."""
        return self._by_project.get(project, ())

    def pins(self) -> Requirements:
        """Return those requirements alone that ask for one version or for single files."""
        pins = [
            requirement
            for of_project in self._by_project.values()
            for requirement in of_project
            if requirement.is_pin
        ]
        return Requirements(bool(pins), pins)

    def projects(self) -> list[str]:
        """Return the projects of which anything is asked for, by name."""
        return sorted(self._by_project)

    def missing(self, project: str, units: Iterable[Unit]) -> list[tuple[str, ProjectRequirement]]:
        """Return the files named by digest that are not among `units`, before any rule.

        `units`: all that the index offers of the project. Yanked files count, those that rules
        leave out, and those that only their bytes can tell from one that is named. A file is named
        by its first digest: `sha256:<hex>`.
        """
        with_files = [requirement for requirement in self.for_project(project) if requirement.files]
        if not with_files:
            return []
        offered: dict[tuple[str, str], list[dict[str, str]]] = {}
        unmeasured: list[tuple[str, Artifact]] = []
        files = ((unit, part) for unit in units for part in unit.artifacts if part.path == unit.key)
        for owner, artifact in files:
            digests = dict(digests_of(artifact))
            for digest in digests.items():
                offered.setdefault(digest, []).append(digests)
            if not artifact.sha256:
                unmeasured.append((owner.metadata.get("version", ""), artifact))
        named = chain.from_iterable(
            ((file, requirement) for file in requirement.files if file.digests)
            for requirement in with_files
        )
        absent = {
            file.digests: requirement
            for file, requirement in named
            if not _is_among(offered, file)
            and not any(requirement.may_be(file, *candidate) for candidate in unmeasured)
        }
        return [(":".join(digests[0]), requirement) for digests, requirement in absent.items()]

    def unmet(self, project: str, units: Sequence[Unit]) -> list[ProjectRequirement]:
        """Return the requirements for which there is nothing among `units`, before any rule.

        `units`: all that the index offers of the project.
        """
        pairs = [
            (
                requirement,
                any(
                    requirement.matches(unit.metadata["version"], unit.key, unit.artifacts)
                    for unit in units
                ),
            )
            for requirement in self.for_project(project)
        ]
        met = {
            requirement.place for requirement, meant in pairs if meant and requirement.alternative
        }
        return [
            requirement
            for requirement, meant in pairs
            if not meant and not (requirement.alternative and requirement.place in met)
        ]


def constrain(
    requirements: Iterable[ProjectRequirement],
    constraints: Iterable[ProjectRequirement],
    environments: Sequence[Environment],
) -> list[ProjectRequirement]:
    """Return requirements within their constraints, which never require anything themselves.

    With environments, every constraint applies by itself. Without, each marked constraint of a
    project is an alternative, and one that has no digest in common with the requirement is none.
    Raises Malformed where nothing is left of a requirement.
    """
    by_project: dict[str, list[ProjectRequirement]] = {}
    for constraint in constraints:
        by_project.setdefault(constraint.project, []).append(constraint)
    result = []
    for requirement in requirements:
        limits = by_project.get(requirement.project)
        if limits is not None:
            result.extend(_limited(requirement, limits, environments))
        elif requirement.holds(environments):
            result.append(requirement)
    return result


def _limited(
    requirement: ProjectRequirement,
    constraints: Sequence[ProjectRequirement],
    environments: Sequence[Environment],
) -> list[ProjectRequirement]:
    """Return one requirement, once for each way in which its constraints hold together."""
    choices = _choices(requirement, constraints, environments)
    limited = {choice: _within(requirement, choice) for choice in choices}
    results = [result for result in limited.values() if result is not None]
    if len(results) < len(choices) and (environments or not results):
        broken = next(choice for choice, result in limited.items() if result is None)
        constraint = next(result for result in broken if result.files)
        raise Malformed(
            f"{requirement.place}: `{requirement.text}` and its constraint `{constraint.text}`"
            f" ({constraint.place}) have no `--hash` in common",
            hint="no file can have both: let the two files name the same digests",
        )
    if len(choices) > 1 and not environments:
        results = [replace(result, alternative=True) for result in results]
    return list(dict.fromkeys(results))


def _choices(
    requirement: ProjectRequirement,
    constraints: Sequence[ProjectRequirement],
    environments: Sequence[Environment],
) -> list[tuple[ProjectRequirement, ...]]:
    if environments:
        choices = [
            tuple(constraint for constraint in constraints if constraint.holds([environment]))
            for environment in environments
            if requirement.holds([environment])
        ]
        return list(dict.fromkeys(choices))
    always = tuple(constraint for constraint in constraints if constraint.marker is None)
    return [
        (*always, constraint) for constraint in constraints if constraint.marker is not None
    ] or [always]


def _within(
    requirement: ProjectRequirement, constraints: Sequence[ProjectRequirement]
) -> ProjectRequirement | None:
    """Return a requirement within constraints; None where both name digests, none in common.

    That would be no files, which is written as every file.
    """
    for constraint in constraints:
        specifiers, limit = requirement.specifiers, constraint.specifiers
        both = (
            specifiers & limit
            if specifiers is not None and limit is not None
            else specifiers
            if limit is None
            else limit
        )
        files = _common_files(requirement.files, constraint.files)
        if not files and requirement.files:
            return None
        text = constraint.text.partition(";")[0].strip()
        requirement = replace(
            requirement,
            specifiers=both,
            files=files,
            text=f"{requirement.text} within {text} ({constraint.place})",
        )
    return requirement


def _common_files(
    files: tuple[LockedFile, ...], others: tuple[LockedFile, ...]
) -> tuple[LockedFile, ...]:
    """Return the files that both name; where one names none, the other's."""
    if not files or not others:
        return files or others
    digests = {digest for file in others for digest in file.digests}
    return tuple(file for file in files if not digests.isdisjoint(file.digests))


def _agree(file: LockedFile, declared: Mapping[str, str]) -> bool:
    """Return True unless one of a file's digests differs from the declared one of its kind."""
    return all(declared.get(algorithm, value) == value for algorithm, value in file.digests)


def _is_among(
    offered: Mapping[tuple[str, str], Sequence[Mapping[str, str]]], file: LockedFile
) -> bool:
    """Return True if a file is offered.

    `offered`: by each digest, all digests of the files that have it.
    """
    return any(
        _agree(file, declared) for digest in file.digests for declared in offered.get(digest, ())
    )


def digests_of(artifact: Artifact | StoredArtifact) -> list[tuple[str, str]]:
    """Return (algorithm, hex) of every known digest of the bytes."""
    own = [("sha256", artifact.sha256)] if artifact.sha256 else []
    return (
        [*own, *artifact.digests.items()]
        if isinstance(artifact, Artifact) and artifact.digests
        else own
    )


@lru_cache(maxsize=4096)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
