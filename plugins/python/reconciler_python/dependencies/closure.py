"""The dependency closure of a source (`dependencies: true`).

A wave examines every project on which there is a new requirement: its page is read, the source's
own selection and the filters decide on its files, and their requirements are added to other
projects, which are the next wave. Requirements are only ever added: it ends, cycles or not, and an
index that invents further projects without end is left. Waves and names have one order, so that an
unchanged index gives the same answer however long each request took.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from packaging.version import Version

from reconciler.plugin import (
    Gone,
    Group,
    Malformed,
    NotCached,
    Refused,
    Stale,
    Unit,
    Unreachable,
    Withdrawn,
)
from reconciler_python.dependencies.closure_results import (
    ClosureResult,
    DependencyRequirement,
    Releases,
    mark_required,
)
from reconciler_python.dependencies.dependency_record import DependencyRecord, dependents
from reconciler_python.dependencies.roots import Roots
from reconciler_python.dependencies.unmet_requirements import (
    endless_dependencies_error,
    missing_project_error,
    unmet_requirement,
    unreadable_metadata_error,
)
from reconciler_python.matching.python_versions import Interpreters
from reconciler_python.matching.rules import parse_version
from reconciler_python.options.conduit import Conduit
from reconciler_python.reading.core_metadata import (
    Dependency,
    UnreadableMetadata,
    dependencies_of,
    metadata_digest,
)
from reconciler_python.reading.filenames import SDIST
from reconciler_python.reading.units import is_installable
from reconciler_python.requirements.environments import (
    marker_environments,
    marker_holds,
    python_texts,
)
from reconciler_python.selecting.evidence_facts import with_evidence
from reconciler_python.selecting.selection import ProjectSelection

# projects that are looked at at once; how many requests are under way is the remote's to say
_PAGES: Final = 32
_FILES: Final = 16  # files whose metadata is read at once
_WAVES: Final = 1_000  # projects that depend on each other in a row
_MOST: Final = 500_000  # projects in all, which is what the largest index has
_HELD: Final = 200_000  # units that are kept from wave to wave
_LONGEST: Final = 600  # characters of a chain
_OLDEST: Final = Version("0.dev0")
_FAILURES: Final = (NotCached, Refused, Stale, Unreachable)

Load = Callable[[Group], Awaitable[tuple[str, list[Unit]]]]
"""Reads a project: its page's validator and its units. Raises Gone (Withdrawn: it is quarantined),
and what `conduit.get` raises.
"""


@dataclass(slots=True)
class _Required:
    """A requirement on a project. `by`: the newest release of each project that has it."""

    dependency: Dependency
    by: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Project:
    """One project of the closure.

    `group`: as the source itself has it, or made for it; `named`: the source itself has it.
    `chain`: why it is looked at. `met`: by requirement, the versions that satisfy it. `requires`:
    by file. `followed`: by file, the extras with which its requirements were passed on.
    `own_extras`: by version, what a release requires of itself (`foo[all]` needs `foo[a,b]`).
    `withdrawn`: the index lacks what `requirements` or `files` name.
    """

    group: Group
    named: bool
    chain: str
    required: dict[str, _Required] = field(default_factory=dict)
    validator: str = ""
    units: list[Unit] | None = None
    met: dict[str, frozenset[str]] = field(default_factory=dict)
    accepted: list[Unit] = field(default_factory=list)
    requires: dict[str, Sequence[Dependency]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    followed: dict[str, frozenset[str]] = field(default_factory=dict)
    own_extras: dict[str, set[str]] = field(default_factory=dict)
    gone: Gone | None = None
    failure: Exception | None = None
    unread: bool = False
    withdrawn: bool = False

    @property
    def name(self) -> str:
        return self.group.name

    @property
    def demands(self) -> tuple[DependencyRequirement, ...]:
        ordered = sorted(self.required.items())
        return tuple(
            DependencyRequirement(
                text,
                required.dependency.specifiers,
                tuple(f"{by} {required.by[by]}" for by in sorted(required.by)),
            )
            for text, required in ordered
        )


class Closure:
    """One source's closure. `start`: the groups that the source itself names or lists."""

    def __init__(self, conduit: Conduit, start: Iterable[Group], load: Load) -> None:
        self._conduit = conduit
        self._load = load
        self._options = conduit.options
        self._environments = marker_environments(self._options.environments)
        self._python_texts = tuple(python_texts(self._options.environments))
        self._pythons = Interpreters(self._python_texts) if self._python_texts else None
        self._each_python = [Interpreters([text]) for text in self._python_texts]
        self._roots = Roots(self._options, self._environments)
        self._projects: dict[str, _Project] = {}
        # projects that are not looked at, and what is declared of them
        self._aside: dict[str, Group | None] = {}
        self._record = DependencyRecord(conduit)
        self._files = asyncio.Semaphore(_FILES)
        for group in start:
            if group.refused or self._is_elsewhere(group.name):
                self._aside[group.name] = group
            else:
                self._projects[group.name] = _Project(
                    group, True, f"{conduit.repository.name}'s {self._roots.origin(group.name)}"
                )

    async def groups(self) -> AsyncIterator[Group]:
        """Yield every group of the source, with what `annotate` needs as its `data`."""
        await self._follow(sorted(self._projects))
        failures = {
            name: failure
            for name, project in self._projects.items()
            if (failure := project.failure or self._unavailable(project))
        }
        missing = {
            name for name, failure in failures.items() if self._lacks(self._projects[name], failure)
        }
        complete = not any(
            self._stays(project, failures.get(project.name))
            for project in self._projects.values()
            if project.name not in missing
        )
        if not complete:
            self._conduit.incomplete("what its projects require could not be read")
        elif not failures:
            self._record.write(self._requirers())
        waiting = dependents(missing, self._requirers()) if missing else frozenset[str]()
        for kept in self._record.kept_groups(missing, self._projects.keys() | self._aside.keys()):
            yield kept
        for name in sorted(self._projects.keys() | self._aside.keys()):
            group = (
                self._aside[name]
                if name in self._aside
                else self._declared(
                    self._projects[name],
                    failures.get(name),
                    complete=complete,
                    waits=name in waiting,
                )
            )
            if group is not None:
                yield group

    async def _follow(self, wave: Sequence[str]) -> None:
        """Look at these projects, and at those that they depend on."""
        for _ in range(_WAVES):
            if not wave or len(self._projects) > _MOST:
                break
            pages = asyncio.Semaphore(_PAGES)
            await _together(self._examine(self._projects[name], pages) for name in wave)
            wave = await asyncio.to_thread(self._next_wave, wave)  # markers may be many
            self._let_go()
        if wave:
            last = self._projects[wave[0]]
            raise endless_dependencies_error(f"{last.name} <- {last.chain}", len(self._projects))

    def _lacks(self, project: _Project, failure: Exception) -> bool:
        """Return True if the index is known to lack it; not for what `requirements` name."""
        unknown = project.unread or project.withdrawn or project.failure is not None
        return isinstance(failure, Refused) and not unknown

    def _requirers(self) -> dict[str, set[str]]:
        """Return by project the projects that require it."""
        return {
            name: set[str]().union(*(required.by for required in project.required.values()))
            for name, project in self._projects.items()
        }

    # Looking at one project

    async def _examine(self, project: _Project, pages: asyncio.Semaphore) -> None:
        """Read what is missing of a project, decide on its files, and read their requirements."""
        if project.gone or project.unread:
            return
        async with pages:
            try:
                if project.units is None:
                    project.validator, units = await self._load(project.group)
                    project.units = [unit for unit in units if is_installable(unit)]
                    project.withdrawn = (
                        unmet_requirement(self._conduit, project.name, project.units) is not None
                    )
                await self._decide(project, project.units)
            except Gone as gone:
                error = missing_project_error(self._conduit, project.name, gone)
                project.gone, project.withdrawn = gone, not isinstance(error, Gone)
            except Malformed:
                project.unread = True  # `read` finds the same, says so, and has the page forgotten
            except _FAILURES as error:
                project.failure, project.unread = error, True

    async def _decide(self, project: _Project, units: Sequence[Unit]) -> None:
        releases = Releases(units, self._pythons)
        for text, required in project.required.items():
            if text not in project.met:
                project.met[text] = releases.meeting(required.dependency.specifiers)
        versions = frozenset[str]().union(*project.met.values())
        marked = [
            mark_required(unit, ["required"])
            if unit.metadata["version"] in versions and releases.runs(unit)
            else unit
            for unit in units
        ]
        marked = await with_evidence(self._conduit, project.name, marked)
        left_out = None
        # `latest` and its like let others in for those that cannot be read
        while left_out != len(project.unreadable):
            left_out = len(project.unreadable)
            readable = [unit for unit in marked if unit.key not in project.unreadable]
            decisions = ProjectSelection(
                project.name, self._options, self._conduit.filters, now=self._conduit.now
            ).decide(readable)
            project.accepted = [decision.unit for decision in decisions if decision.accepted]
            await self._read_requirements(project)

    async def _read_requirements(self, project: _Project) -> None:
        alike: dict[str, list[Unit]] = {}
        for unit in project.accepted:
            if unit.key not in project.requires and unit.key not in project.unreadable:
                alike.setdefault(metadata_digest(unit), []).append(unit)
        problems: dict[str, Exception] = {}
        await _together(self._read(project, units, problems) for units in alike.values())
        for unit in project.accepted:
            if unit.key in problems:
                self._without_requirements(project, unit, problems[unit.key])

    async def _read(
        self, project: _Project, units: Sequence[Unit], problems: dict[str, Exception]
    ) -> None:
        """Read what files of the same metadata require."""
        async with self._files:
            try:
                dependencies = await dependencies_of(self._conduit, units[0])
            except (UnreadableMetadata, Malformed, Gone, *_FAILURES) as error:
                problems.update(dict.fromkeys((unit.key for unit in units), error))
            else:
                project.requires.update(dict.fromkeys((unit.key for unit in units), dependencies))

    def _without_requirements(self, project: _Project, unit: Unit, problem: Exception) -> None:
        """Record the result for a file whose requirements cannot be read.

        Those of a wheel of the release are taken, else those of the sdist that it was built from
        (PEP 643). Otherwise the requirements are unknown.
        """
        version = unit.metadata["version"]
        sibling = any(
            other.metadata["version"] == version and other.key in project.requires
            for other in project.accepted
        )
        lenient = isinstance(problem, UnreadableMetadata) and self._options.legacy == "allow"
        if lenient or (
            sibling
            and unit.metadata["packageType"] == SDIST
            and isinstance(problem, UnreadableMetadata | Malformed)
        ):
            project.requires[unit.key] = ()
        elif isinstance(problem, UnreadableMetadata):
            project.unreadable[unit.key] = (
                f"its dependencies are unknown: {problem} (`legacy: allow` takes it without them)"
            )
        else:
            project.failure, project.unread = unreadable_metadata_error(unit.key, problem), True

    # Passing on what it requires

    def _next_wave(self, wave: Iterable[str]) -> Sequence[str]:
        return sorted({target for name in wave for target in self._pass_on(self._projects[name])})

    def _pass_on(self, project: _Project) -> Iterator[str]:
        """Ask other projects for what the files require; yield those asked for something new."""
        for unit in project.accepted:
            extras = self._extras(project, unit)
            passed_on = project.followed.get(unit.key)
            if extras is None or (passed_on is not None and extras <= passed_on):
                continue
            project.followed[unit.key] = extras
            environments = self._environments_of(unit)
            if self._environments and not environments:
                continue
            for dependency in project.requires.get(unit.key, ()):
                if marker_holds(dependency.marker or None, environments, extras) and self._require(
                    project, unit, dependency
                ):
                    yield dependency.project
        project.accepted = []

    def _extras(self, project: _Project, unit: Unit) -> frozenset[str] | None:
        """Return the extras that are asked for with a file.

        None where the file came in and nothing asks for it in the declared environments.
        """
        version = unit.metadata["version"]
        asked = self._roots.extras(project.name, unit) if project.named else None
        required = [
            project.required[text].dependency.extras
            for text, versions in project.met.items()
            if version in versions
        ]
        if asked is None and not required:
            return None
        return frozenset(project.own_extras.get(version, ())).union(
            asked or (), *required, project.followed.get(unit.key, ())
        )

    def _environments_of(self, unit: Unit) -> list[Mapping[str, str]]:
        """Return the declared environments whose Python can run the file."""
        required = unit.metadata.get("requiresPython")
        pairs = zip(self._environments, self._each_python, strict=True)
        return [
            environment
            for environment, python in pairs
            if required is None or python.find(required) is not None
        ]

    def _require(self, project: _Project, unit: Unit, dependency: Dependency) -> bool:
        """Note one requirement of a file. Returns whether it is something new."""
        version = unit.metadata["version"]
        if dependency.project == project.name:  # of itself a release can only mean itself
            extras = project.own_extras.setdefault(version, set())
            new = not dependency.extras <= extras
            extras |= dependency.extras
            return new
        target = self._target(dependency.project, f"{project.name} {version} <- {project.chain}")
        if target is None:
            return False
        before = target.required.get(dependency.text)
        required = before or target.required.setdefault(dependency.text, _Required(dependency))
        if required.by.get(project.name) != version:
            required.by[project.name] = max(
                version,
                required.by.get(project.name, version),
                key=lambda text: parse_version(text) or _OLDEST,
            )
        return before is None

    def _target(self, name: str, chain: str) -> _Project | None:
        """Return the project that is required; None where it is not looked at."""
        if name in self._projects:
            return self._projects[name]
        if name in self._aside:
            return None
        if self._options.excluded.whole_project(name) or self._is_elsewhere(name):
            self._aside[name] = None  # what is excluded here may come from another source
            return None
        group = Group(name, shared=bool(self._options.shared.for_project(name)))
        self._projects[name] = _Project(
            group, False, chain if len(chain) <= _LONGEST else f"{chain[:_LONGEST]} ..."
        )
        return self._projects[name]

    def _is_elsewhere(self, name: str) -> bool:
        """Return True if this source is not asked about the name: an earlier one has it."""
        owned = self._conduit.owned_by_earlier_source(name)
        return owned and not self._options.shared.for_project(name)

    def _let_go(self) -> None:
        """Drop pages, so that memory stays bounded; a page that is needed again is read again."""
        if sum(len(project.units or ()) for project in self._projects.values()) > _HELD:
            for project in self._projects.values():
                project.units = None

    # What is declared

    def _stays(self, project: _Project, failure: Exception | None) -> bool:
        """Return True if `read` will fail: content stays, and what it requires is unknown."""
        return (
            project.unread
            or project.withdrawn
            or (failure is not None and not isinstance(failure, Gone))
        )

    def _declared(
        self, project: _Project, failure: Exception | None, *, complete: bool, waits: bool
    ) -> Group:
        pulled = ClosureResult(
            project.demands, self._python_texts, dict(project.unreadable), failure, waits
        )
        unknown = failure or project.unread
        validator = None if unknown else self._validator(project, pulled, complete)
        return msgspec.structs.replace(project.group, validator=validator, data=pulled)

    def _validator(self, project: _Project, pulled: ClosureResult, complete: bool) -> str:
        """Return a text that changes with a project's page or with the requirements on it.

        A page's validator, or a serial in its place, shows changes of the page. Projects of an
        incomplete closure are decided again by the next one.
        """
        serial = project.group.validator
        if complete and not (pulled.demands or pulled.unreadable):
            return serial or project.validator
        digest = pulled.digest(serial or project.validator, "" if complete else "incomplete")
        return f"{serial} pulled:{digest}" if serial else f"pulled:{digest}"

    def _unavailable(self, project: _Project) -> Exception | None:
        """Return why the requirements on the project cannot be met; None if they can."""
        if project.gone:
            return self._missing(project, project.gone)
        unmet = [
            text
            for text in sorted(project.required)
            if text in project.met and not project.met[text]
        ]
        if not unmet:
            return None
        more = len(unmet) - 1
        others = f", and {more} more of its requirements are not met" if more else ""
        runs = " that runs on a declared Python" if self._pythons else ""
        return Refused(
            f"{self._required(project, unmet[0])}: the index has no such release{runs}{others}",
            hint=_HINT,
        )

    def _missing(self, project: _Project, gone: Gone) -> Exception:
        if project.named or not project.required:
            return gone
        required = self._required(project, min(project.required))
        if isinstance(gone, Withdrawn):  # no file of it may be offered at all
            return Withdrawn(f"{gone}; {required}")
        return Refused(f"{required}: the index has no such project", hint=_HINT)

    def _required(self, project: _Project, text: str) -> str:
        """Return `idna>=2.5 is required by requests 2.31.0 <- team's include "requests"`."""
        requirer, version = min(project.required[text].by.items())
        return f"{text} is required by {requirer} {version} <- {self._projects[requirer].chain}"


_HINT: Final = (
    "`exclude` the project where it comes from elsewhere, or leave out the releases that require it"
)


async def _together(tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all of them. Raises the first error once the others have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(task)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
