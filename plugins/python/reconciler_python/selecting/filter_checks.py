"""The keys of a Filter as checks."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.plugin import Step, Unit, sanitize
from reconciler_python.evidence.advisories import OsvRules, advisory_reason
from reconciler_python.evidence.attestations import (
    AttestationRules,
    attestation_reason,
    attestation_word,
)
from reconciler_python.evidence.licences import LicenceRules, licence_reason, licence_word
from reconciler_python.filter_options import FilterOptions
from reconciler_python.reading.filenames import WHEEL
from reconciler_python.selecting.checks import AllowCheck, Check, DenyCheck, Scope
from reconciler_python.selecting.rules import Matcher, parse_version
from reconciler_python.selecting.targets import wheel_tags

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
    """`platforms`, `pythons` and `abis`: a wheel's tags are every combination of the parts of its
    name, so that each part is asked alone.
    """

    def __init__(self, scope: Scope, key: str, options: FilterOptions) -> None:
        super().__init__(scope, key)
        self.rule = scope.key(key)
        self._targets = options.targets[key]
        self._words: tuple[str, ...] = getattr(options, key)

    def reason(self, unit: Unit) -> str | None:
        if unit.metadata["packageType"] != WHEEL:
            return None
        tags = wheel_tags(unit.key)
        if tags is None:
            return self.scope.because(f"{_SINGULAR[self.key]} unknown", self.key)
        part: str = getattr(tags, self.key)
        return (
            None
            if self._targets.find(part) is not None
            else self.scope.because(f"{_SINGULAR[self.key]} {part}", self.key)
        )

    def steps(self, unit: Unit) -> Iterator[Step]:
        reason = self.reason(unit)
        tags = wheel_tags(unit.key) if unit.metadata["packageType"] == WHEEL else None
        found = self._targets.find(getattr(tags, self.key)) if tags is not None else None
        if reason is not None:
            yield self.scope.step(False, reason, self.key)
        elif found is None:
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
                self.scope.because(f"{_SINGULAR[self.key]} {self._words[found]}", self.key),
                self.key,
                found,
            )


class RequiresPythonCheck(Check):
    def __init__(self, scope: Scope, options: FilterOptions) -> None:
        super().__init__(scope, "requiresPython")
        self.rule = scope.key(self.key)
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
            f"requires Python {_shown(required)}" if required else "requires no particular Python",
            self.key,
        )


class PrereleaseCheck(Check):
    """`prereleases: deny`. What cannot be read as a version is no pre-release."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope, "prereleases")

    def reason(self, unit: Unit) -> str | None:
        return self.scope.because("pre-release", self.key) if is_prerelease(unit) else None

    def passing(self, unit: Unit) -> str:
        return self.scope.because("no pre-release", self.key)


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
        self.rule = scope.key(self.key)
        self._rules = rules

    def reason(self, unit: Unit) -> str | None:
        reason = licence_reason(unit, self._rules)
        return None if reason is None else self.scope.because(reason, self.key)

    def passing(self, unit: Unit) -> str:
        return self.scope.because(licence_word(unit, self._rules), self.key)


class AttestationCheck(Check):
    def __init__(self, scope: Scope, rules: AttestationRules) -> None:
        super().__init__(scope, "attestations")
        self.rule = scope.key(self.key)
        self._rules = rules

    def reason(self, unit: Unit) -> str | None:
        reason = attestation_reason(unit, self._rules)
        return None if reason is None else self.scope.because(reason, self.key)

    def passing(self, unit: Unit) -> str:
        return self.scope.because(attestation_word(unit, self._rules), self.key)


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


def filter_checks(
    project: str, scope: Scope, options: FilterOptions, *, prereleases: bool
) -> Iterator[Check]:
    """The keys that are written, in the order in which they speak. `prereleases`: specifiers of
    `allow` mean them too.
    """
    if options.denied:
        yield DenyCheck(scope, "deny", "denied", Matcher(options.denied, project, prereleases=True))
    if options.allowed:
        yield AllowCheck(scope, Matcher(options.allowed, project, prereleases=prereleases))
    if options.package_types:
        yield PackageTypeCheck(scope, options.package_types)
    for key in options.targets:
        yield TargetCheck(scope, key, options)
    if options.requires_python:
        yield RequiresPythonCheck(scope, options)
    if options.prereleases == "deny":
        yield PrereleaseCheck(scope)
    if options.yanked == "drop":
        yield YankedCheck(scope)
    if options.max_size is not None:
        yield SizeCheck(scope, options.max_size)
    if options.licenses is not None:
        yield LicenceCheck(scope, options.licenses)
    if options.attestations is not None:
        yield AttestationCheck(scope, options.attestations)
    if options.osv is not None:
        yield AdvisoryCheck(scope, project, options.osv)


def is_prerelease(unit: Unit) -> bool:
    """PEP 440: alpha, beta, candidate and development releases."""
    version = parse_version(unit.metadata["version"])
    return version is not None and version.is_prerelease


def written_size(size: int) -> str:
    """`500MiB`, `2GB`, `1500B`: in the largest unit that tells it exactly."""
    exact = [
        (size // length, unit)
        for length, unit in (*_BINARY, *_DECIMAL)
        if size and size % length == 0
    ]
    number, unit = min(exact, default=(size, "B"))
    return f"{number}{unit}"


def _size(unit: Unit) -> int | None:
    return next((artifact.size for artifact in unit.artifacts if artifact.path == unit.key), None)


def _shown(text: str) -> str:
    """Return a text of upstream for one line of a plan."""
    return sanitize(text, 200)
