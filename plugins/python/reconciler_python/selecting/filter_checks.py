"""The keys of a Filter as checks, and the table of them: `FILTER_CHECKS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from reconciler.plugin import TraceStep, Unit, sanitize
from reconciler_python.evidence.advisories import OsvRules, advisory_reason
from reconciler_python.evidence.attestations import (
    AttestationRules,
    attestation_reason,
    attestation_text,
)
from reconciler_python.evidence.licences import LicenceRules, licence_reason, licence_text
from reconciler_python.matching.interpreter_tags import Environment, is_version
from reconciler_python.matching.rules import Matcher, parse_version
from reconciler_python.matching.wheel_tags import WheelTags, wheel_tags
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.reading.filenames import WHEEL
from reconciler_python.reading.upload_times import upload_time
from reconciler_python.selecting.checks import AllowCheck, Check, DenyCheck, Scope

_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_DECIMAL = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_SINGULAR = {"platforms": "platform", "pythons": "python", "abis": "ABI"}


class PackageTypeCheck(Check):
    def __init__(self, scope: Scope, types: tuple[str, ...]) -> None:
        super().__init__(scope, "packageTypes")
        self._types = types

    def reason(self, unit: Unit) -> str | None:
        return None if unit.metadata["packageType"] in self._types else self.passing(unit)

    def passing(self, unit: Unit) -> str:
        return self.scope.because(f"package type {unit.metadata['packageType']}", self.key)


class TargetCheck(Check):
    """`platforms`, `pythons` and `abis`.

    A wheel's tags are every combination of the parts of its name, so that each part is checked
    alone; a version of Python also looks at the ABI and at Requires-Python.
    """

    def __init__(self, scope: Scope, key: str, options: FilterOptions) -> None:
        super().__init__(scope, key)
        self._targets = options.tag_targets[key]
        self._words: tuple[str, ...] = getattr(options, key)
        self._names_versions = key == "pythons" and any(map(is_version, self._words))

    def reason(self, unit: Unit) -> str | None:
        if unit.metadata["packageType"] != WHEEL:
            return None
        tags = wheel_tags(unit.key)
        if tags is None:
            return self.scope.because(f"{_SINGULAR[self.key]} unknown", self.key)
        if self._index(unit, tags) is not None:
            return None
        part: str = getattr(tags, self.key)
        text = f"{_SINGULAR[self.key]} {part}"
        if self._targets.find(self._asked(tags)) is not None:  # but for what it requires
            text = f"requires Python {_one_line(unit.metadata['requiresPython'])}"
        elif self._names_versions and tags.abis not in ("none", part):
            text += f" with ABI {tags.abis}"
        return self.scope.because(text, self.key)

    def _asked(self, tags: WheelTags) -> str:
        return f"{tags.pythons}-{tags.abis}" if self.key == "pythons" else getattr(tags, self.key)

    def _index(self, unit: Unit, tags: WheelTags) -> int | None:
        """Return the index of the word that lets a wheel in."""
        return self._targets.find(self._asked(tags), unit.metadata.get("requiresPython") or "")

    def steps(self, unit: Unit) -> Iterator[TraceStep]:
        reason = self.reason(unit)
        tags = wheel_tags(unit.key) if unit.metadata["packageType"] == WHEEL else None
        index = self._index(unit, tags) if tags is not None else None
        if reason is not None:
            yield self.scope.step(False, reason, self.key)
        elif index is None:
            yield self.scope.step(
                True,
                self.scope.because(
                    f"{unit.metadata['packageType']}: only wheels have tags", self.key
                ),
                self.key,
            )
        else:
            yield self.scope.step(
                True,
                self.scope.because(f"{_SINGULAR[self.key]} {self._words[index]}", self.key),
                self.key,
                index,
            )


class EnvironmentCheck(Check):
    """`targets`: what one of the environments can install, by tags and Requires-Python."""

    def __init__(self, scope: Scope, environments: tuple[Environment, ...]) -> None:
        super().__init__(scope, "targets")
        self._environments = environments

    def reason(self, unit: Unit) -> str | None:
        if any(installs(environment, unit) for environment in self._environments):
            return None
        tags = wheel_tags(unit.key) if unit.metadata["packageType"] == WHEEL else None
        required = unit.metadata.get("requiresPython")
        text = "-".join(tags) if tags else "no tags"
        text += f", requires Python {_one_line(required)}" if required else ""
        return self.scope.because(f"no target can install it: {text}", self.key)

    def passing(self, unit: Unit) -> str:
        first = next((each for each in self._environments if installs(each, unit)), None)
        return self.scope.because(f"for Python {first}" if first else "for no target", self.key)


def installs(environment: Environment, unit: Unit) -> bool:
    """Return True if an environment can install a file, as far as its name and its page tell."""
    required = unit.metadata.get("requiresPython")
    if required and not environment.runs(required):
        return False
    if unit.metadata["packageType"] != WHEEL:
        return True
    tags = wheel_tags(unit.key)
    return tags is not None and environment.accepts(tags)


class RequiresPythonCheck(Check):
    def __init__(self, scope: Scope, options: FilterOptions) -> None:
        super().__init__(scope, "requiresPython")
        self._interpreters = options.interpreters

    def reason(self, unit: Unit) -> str | None:
        required = unit.metadata.get("requiresPython")
        return (
            None
            if not required or self._interpreters.find(required) is not None
            else self.passing(unit)
        )

    def passing(self, unit: Unit) -> str:
        required = unit.metadata.get("requiresPython")
        return self.scope.because(
            f"requires Python {_one_line(required)}"
            if required
            else "requires no particular Python",
            self.key,
        )


class PrereleaseCheck(Check):
    """`prereleases: deny`. A text that is not a version is no pre-release."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope, "prereleases")

    def reason(self, unit: Unit) -> str | None:
        return self.scope.because("pre-release", self.key) if is_prerelease(unit) else None

    def passing(self, unit: Unit) -> str:
        return self.scope.because("no pre-release", self.key)


class DevReleaseCheck(Check):
    """`devReleases: deny` (PEP 440). A text that is not a version is no developmental release."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope, "devReleases")

    def reason(self, unit: Unit) -> str | None:
        version = parse_version(unit.metadata["version"])
        developmental = version is not None and version.is_devrelease
        return self.scope.because("developmental release", self.key) if developmental else None

    def passing(self, unit: Unit) -> str:
        return self.scope.because("no developmental release", self.key)


class YankedCheck(Check):
    """`yanked: drop` (PEP 592)."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope, "yanked")

    def reason(self, unit: Unit) -> str | None:
        return (
            self.scope.because("yanked upstream", self.key) if unit.metadata.get("yanked") else None
        )

    def passing(self, unit: Unit) -> str:
        return self.scope.because("not yanked", self.key)


class UploadedBeforeCheck(Check):
    """`uploadedBefore`: the state of an index at a moment, as far as it says when files came."""

    def __init__(self, scope: Scope, moment: datetime) -> None:
        super().__init__(scope, "uploadedBefore")
        self._moment = moment

    def reason(self, unit: Unit) -> str | None:
        uploaded = upload_time(unit.metadata.get("uploadTime"))
        return self.passing(unit) if uploaded is None or uploaded >= self._moment else None

    def passing(self, unit: Unit) -> str:
        uploaded = upload_time(unit.metadata.get("uploadTime"))
        text = "upload time unknown" if uploaded is None else f"uploaded {uploaded:%Y-%m-%d %H:%M}"
        return self.scope.because(text, f"{self.key} {self._moment:%Y-%m-%d %H:%M}")


class SizeCheck(Check):
    def __init__(self, scope: Scope, limit: int) -> None:
        super().__init__(scope, "maxSize")
        self._limit = limit
        self._written = f"maxSize {written_size(limit)}"

    def reason(self, unit: Unit) -> str | None:
        size = _size(unit)
        if size is None:
            return self.scope.because("size unknown", self._written)
        return None if size <= self._limit else self.scope.because("too large", self._written)

    def passing(self, unit: Unit) -> str:
        return self.scope.because(f"{_size(unit):,} bytes", self._written)


class LicenceCheck(Check):
    def __init__(self, scope: Scope, rules: LicenceRules) -> None:
        super().__init__(scope, "licenses")
        self._rules = rules

    def reason(self, unit: Unit) -> str | None:
        reason = licence_reason(unit, self._rules)
        return None if reason is None else self.scope.because(reason, self.key)

    def passing(self, unit: Unit) -> str:
        return self.scope.because(licence_text(unit, self._rules), self.key)


class AttestationCheck(Check):
    def __init__(self, scope: Scope, rules: AttestationRules) -> None:
        super().__init__(scope, "attestations")
        self._rules = rules

    def reason(self, unit: Unit) -> str | None:
        reason = attestation_reason(unit, self._rules)
        return None if reason is None else self.scope.because(reason, self.key)

    def passing(self, unit: Unit) -> str:
        return self.scope.because(attestation_text(unit, self._rules), self.key)


class AdvisoryCheck(Check):
    """`osv`: advisories are about releases, so that all files of one share the answer."""

    def __init__(self, scope: Scope, project: str, rules: OsvRules) -> None:
        super().__init__(scope, "osv")
        self._project = project
        self._rules = rules
        self._known: dict[str, str | None] = {}

    def reason(self, unit: Unit) -> str | None:
        version = unit.metadata["version"]
        if version not in self._known:
            reason = advisory_reason(self._project, version, self._rules)
            self._known[version] = None if reason is None else self.scope.because(reason, self.key)
        return self._known[version]

    def passing(self, unit: Unit) -> str:
        return self.scope.because("no advisory that counts", self.key)


class FilterCall(NamedTuple):
    """A Filter, asked about one project.

    `prereleases`: specifiers of `allow` mean them, too. `upstream`: its files come from an index,
    and were not uploaded here.
    """

    project: str
    scope: Scope
    options: FilterOptions
    prereleases: bool
    upstream: bool = True


def _deny(call: FilterCall) -> Check | None:
    rules = call.options.denied
    matcher = Matcher(rules, call.project, prereleases=True)
    return DenyCheck(call.scope, "deny", verb="denied", matcher=matcher) if rules else None


def _allow(call: FilterCall) -> Check | None:
    rules = call.options.allowed
    matcher = Matcher(rules, call.project, prereleases=call.prereleases)
    return AllowCheck(call.scope, matcher) if rules else None


def _package_types(call: FilterCall) -> Check | None:
    types = call.options.package_types
    return PackageTypeCheck(call.scope, types) if types else None


def _platforms(call: FilterCall) -> Check | None:
    return _target(call, "platforms")


def _pythons(call: FilterCall) -> Check | None:
    return _target(call, "pythons")


def _abis(call: FilterCall) -> Check | None:
    return _target(call, "abis")


def _target(call: FilterCall, key: str) -> Check | None:
    return TargetCheck(call.scope, key, call.options) if key in call.options.tag_targets else None


def _environments(call: FilterCall) -> Check | None:
    environments = call.options.environments
    return EnvironmentCheck(call.scope, environments) if environments else None


def _requires_python(call: FilterCall) -> Check | None:
    return RequiresPythonCheck(call.scope, call.options) if call.options.requires_python else None


def _prereleases(call: FilterCall) -> Check | None:
    return PrereleaseCheck(call.scope) if call.options.prereleases == "deny" else None


def _dev_releases(call: FilterCall) -> Check | None:
    return DevReleaseCheck(call.scope) if call.options.dev_releases == "deny" else None


def _yanked(call: FilterCall) -> Check | None:
    return YankedCheck(call.scope) if call.options.yanked == "drop" else None


def _uploaded_before(call: FilterCall) -> Check | None:
    moment = call.options.uploaded_before
    return UploadedBeforeCheck(call.scope, moment) if moment and call.upstream else None


def _max_size(call: FilterCall) -> Check | None:
    limit = call.options.max_size
    return None if limit is None else SizeCheck(call.scope, limit)


def _licenses(call: FilterCall) -> Check | None:
    rules = call.options.licenses
    return None if rules is None else LicenceCheck(call.scope, rules)


def _attestations(call: FilterCall) -> Check | None:
    rules = call.options.attestations
    return None if rules is None else AttestationCheck(call.scope, rules)


def _osv(call: FilterCall) -> Check | None:
    rules = call.options.osv
    return None if rules is None else AdvisoryCheck(call.scope, call.project, rules)


FILTER_CHECKS: Final[Mapping[str, Callable[[FilterCall], Check | None]]] = {
    "deny": _deny,
    "allow": _allow,
    "packageTypes": _package_types,
    "platforms": _platforms,
    "pythons": _pythons,
    "abis": _abis,
    "targets": _environments,
    "requiresPython": _requires_python,
    "prereleases": _prereleases,
    "devReleases": _dev_releases,
    "yanked": _yanked,
    "uploadedBefore": _uploaded_before,
    "maxSize": _max_size,
    "licenses": _licenses,
    "attestations": _attestations,
    "osv": _osv,
}
"""Every key of a Filter that is asked of each file alone, in the order in which the keys speak.

A new rule is a field of `options.filter_options.FilterOptions`, a check in this module, a line here
and an example in `tests/support/selection_tables.py`, from which the tables of the reference are
made. `minAge` speaks after these (`cooldown`); what takes a whole project (`latest`) is in
`releases`.
"""


def filter_checks(call: FilterCall) -> Iterator[Check]:
    """Yield the checks of the keys that are written, in the order in which they speak."""
    for make in FILTER_CHECKS.values():
        check = make(call)
        if check is not None:
            yield check


def is_prerelease(unit: Unit) -> bool:
    """Return True for alpha, beta, candidate and development releases (PEP 440)."""
    version = parse_version(unit.metadata["version"])
    return version is not None and version.is_prerelease


def written_size(size: int) -> str:
    """Return `500MiB`, `2GB` or `1500B`: in the largest unit that is exact."""
    exact = [
        (size // length, unit)
        for length, unit in (*_BINARY, *_DECIMAL)
        if size and size % length == 0
    ]
    number, unit = min(exact, default=(size, "B"))
    return f"{number}{unit}"


def _size(unit: Unit) -> int | None:
    return next((artifact.size for artifact in unit.artifacts if artifact.path == unit.key), None)


def _one_line(text: str) -> str:
    """Return a text of upstream for one line of a plan."""
    return sanitize(text, 200)
