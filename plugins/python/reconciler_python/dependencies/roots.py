"""Requirements of the source itself: origin of a project, and its extras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from packaging.markers import Marker

from reconciler.plugin import Unit
from reconciler_python.matching.rules import parse_version
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.requirements.environments import marker_holds


class Roots:
    """`include`, `files` and `requirements` of one source, in its environments."""

    def __init__(
        self, options: SelectionOptions, environments: Sequence[Mapping[str, str]]
    ) -> None:
        self._options = options
        self._environments = environments

    def origin(self, project: str) -> str:
        """Return the first key that names the project, such as `requirements.txt:12`."""
        rules = self._options.included.for_project(project)
        if rules:
            return f'include "{rules[0].text}"'
        requirements = self._options.required.for_project(project)
        return requirements[0].place if requirements else "files"

    def extras(self, project: str, unit: Unit) -> frozenset[str] | None:
        """Return the extras that are asked for with this file.

        None where it is asked for in other environments only.
        """
        asked = list(self._asking(project, unit))
        if not asked:
            return frozenset()
        holding = [extras for marker, extras in asked if marker_holds(marker, self._environments)]
        return frozenset[str]().union(*holding) if holding else None

    def _asking(self, project: str, unit: Unit) -> Iterator[tuple[Marker | None, frozenset[str]]]:
        version = unit.metadata["version"]
        for rule in self._options.included.for_project(project):
            if rule.allows(parse_version(version), prereleases=True):
                yield rule.marker, rule.extras
        for requirement in self._options.required.for_project(project):
            if requirement.matches(version, unit.key, unit.artifacts):
                yield requirement.marker, frozenset(requirement.extras)
