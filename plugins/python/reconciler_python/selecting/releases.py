"""Keys that need a whole project: `if-nothing-else`, then `latest`.

They decide among the files that everything else lets in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from packaging.version import Version

from reconciler.plugin import Decision, TraceStep, Unit
from reconciler_python.matching.rules import parse_version
from reconciler_python.options.filter_options import FilterOptions, Prereleases
from reconciler_python.selecting.checks import Scope
from reconciler_python.selecting.filter_checks import installs, is_prerelease

_STRICTNESS: Sequence[Prereleases] = ("deny", "if-nothing-else", "allow")
_ONLY_PASSING = "counts only what passes everything else"
_PER: Final = {"major": "major version", "minor": "minor version"}
_WORDS: Final = {
    "deny": "denied",
    "allow": "not allowed",
    "packageTypes": "package type",
    "platforms": "platform",
    "pythons": "Python",
    "abis": "ABI",
    "targets": "target",
    "requiresPython": "requires-python",
    "maxSize": "size",
    "licenses": "licence",
    "attestations": "attestations",
    "osv": "advisory",
}
"""Words of a remark for the keys of a filter. `minAge`, `prereleases` and `yanked` need none: that
they keep to older releases is what they are for.
"""

Pins = Callable[[Unit], bool]


def prerelease_policy(filters: Sequence[tuple[Scope, FilterOptions]]) -> Prereleases | None:
    """Return what all filters together say of pre-releases: the strictest word.

    None where none says one, and specifiers tell.
    """
    policies = {options.prereleases for _, options in filters}
    return next((policy for policy in _STRICTNESS if policy in policies), None)


class Releases:
    """The collective keys of the filters in force. Of several `latest` each counts.

    `pins`: whether the source pins a file, which `latest` never drops.
    """

    def __init__(
        self, filters: Sequence[tuple[Scope, FilterOptions]], pins: Pins | None = None
    ) -> None:
        self._stages: list[_FinalFirst | _Latest] = []
        hesitant = [scope for scope, options in filters if options.prereleases == "if-nothing-else"]
        if hesitant and prerelease_policy(filters) == "if-nothing-else":
            self._stages.append(_FinalFirst(hesitant[0]))
        counted = [(scope, options) for scope, options in filters if options.newest is not None]
        self.keeps_latest = bool(counted)
        if counted:
            self._stages.append(_Latest(counted, pins))

    def __bool__(self) -> bool:
        return bool(self._stages)

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Decision]:
        """Return the same decisions, of which some are now against the file."""
        for stage in self._stages:
            out = stage.out([decision.unit for decision in decisions if decision.accepted])
            if out:
                decisions = [
                    Decision(
                        decision.unit,
                        False,
                        out[decision.unit.key],
                        rule=_rule_of(out[decision.unit.key]),
                    )
                    if decision.accepted and decision.unit.key in out
                    else decision
                    for decision in decisions
                ]
        return decisions

    def steps(
        self, traced: Sequence[Unit], decisions: Sequence[Decision]
    ) -> Sequence[Sequence[TraceStep]]:
        """Return the steps for each of `traced`.

        `decisions`: what everything else says of the project's files, these among them.
        """
        chains: list[list[TraceStep]] = [[] for _ in traced]
        for stage in self._stages:
            passing = [decision.unit for decision in decisions if decision.accepted]
            decided, out = {id(unit) for unit in passing}, stage.out(passing)
            for unit, chain in zip(traced, chains, strict=True):
                refused = id(unit) in decided and unit.key in out
                text = (
                    out[unit.key]
                    if refused
                    else stage.passing
                    if id(unit) in decided
                    else stage.unasked
                )
                chain.append(stage.scope.step(not refused, text, stage.key))
            decisions = [decision for decision in decisions if decision.unit.key not in out]
        return chains


class _FinalFirst:
    """`if-nothing-else`: pre-releases go where a final release passes.

    A yanked one is a release too, as for pip.
    """

    key = "prereleases"

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.reason = scope.because("pre-release, and there are final releases", self.key)
        self.passing = scope.because("a final release, or there is none", self.key)
        self.unasked = scope.because(f"if-nothing-else {_ONLY_PASSING}", self.key)

    def out(self, passing: Sequence[Unit]) -> Mapping[str, str]:
        """Return the reason by key of each file that goes."""
        early = {unit.key for unit in passing if is_prerelease(unit)}
        return dict.fromkeys(early, self.reason) if len(early) < len(passing) else {}


class _Latest:
    """`latest`: the newest releases of those that pass everything else.

    Final releases before pre-releases, those not yanked before yanked ones, then by version;
    unreadable versions come last. What the source pins is never dropped.
    """

    key = "latest"

    def __init__(self, rules: Sequence[tuple[Scope, FilterOptions]], pins: Pins | None) -> None:
        self._rules = sorted(
            (_CountedReleases(scope, options) for scope, options in rules),
            key=lambda rule: rule.count,
        )
        self._pins = pins
        first = self._rules[0]
        self.scope = first.scope
        self.passing = first.scope.because(f"among the {first.words}", self.key)
        self.unasked = first.scope.because(f"latest {_ONLY_PASSING}", self.key)

    def out(self, passing: Sequence[Unit]) -> Mapping[str, str]:
        """Return the reason by key of each file that goes."""
        reasons: dict[str, str] = {}
        for rule in reversed(self._rules):  # of several the smallest speaks
            reasons |= dict.fromkeys(rule.out(passing), rule.reason)
        if reasons and self._pins is not None:
            for unit in passing:
                if unit.key in reasons and self._pins(unit):
                    del reasons[unit.key]
        return reasons


def _rule_of(reason: str) -> str:
    """Return the key that a reason ends with: `not among the newest 3 (house.latest)`."""
    return reason.rpartition("(")[2].removesuffix(")")


class _CountedReleases:
    """`latest` of one filter."""

    def __init__(self, scope: Scope, options: FilterOptions) -> None:
        rule = options.newest
        assert rule is not None
        self.scope = scope
        self.count = rule.releases
        self._per = rule.per
        self._environments = options.environments
        of = "" if rule.per == "project" else f" of each {_PER.get(rule.per, rule.per)}"
        self.words = f"latest {rule.releases}{of}"
        self.reason = scope.because(f"not among the {self.words}", "latest")

    def out(self, passing: Sequence[Unit]) -> set[str]:
        """Return the keys of files of older releases."""
        if self._per == "target":
            kept = set[str]()
            for environment in self._environments:
                usable = [unit for unit in passing if installs(environment, unit)]
                kept |= {unit.key for unit in usable} - self._older(usable)
            return {unit.key for unit in passing} - kept
        buckets: dict[object, list[Unit]] = {}
        for unit in passing:
            buckets.setdefault(self._bucket(unit), []).append(unit)
        return set[str]().union(*map(self._older, buckets.values()))

    def _bucket(self, unit: Unit) -> object:
        """Return what the releases are counted in."""
        version = parse_version(unit.metadata["version"])
        if self._per == "project" or version is None:
            return None
        length = 1 if self._per == "major" else 2
        return version.epoch, (*version.release, 0)[:length]

    def _older(self, units: Sequence[Unit]) -> set[str]:
        releases = files_by_release(units)
        if len(releases) <= self.count:
            return set()
        ranked = sorted(
            releases, key=lambda release: _rank(release, releases[release]), reverse=True
        )
        return {unit.key for release in ranked[self.count :] for unit in releases[release]}


def files_by_release(units: Sequence[Unit]) -> dict[Version | str, list[Unit]]:
    """Group files by release; `1.0` and `1.0.0` are one."""
    releases: dict[Version | str, list[Unit]] = {}
    for unit in units:
        text = unit.metadata["version"]
        releases.setdefault(parse_version(text) or text, []).append(unit)
    return releases


def newest_kept(
    decisions: Sequence[Decision], refusing: Callable[[Unit], str | None]
) -> tuple[Decision, str] | None:
    """Return the decision on a file of the newest release that is kept, with a remark.

    None unless a filter refuses every file of a newer final release, by a key that neither time
    nor pre-releases nor yanks explain: then `latest` keeps older releases than a reader expects.
    `refusing`: the key of a filter that refuses a file.
    """
    versions = {
        id(decision): parse_version(decision.unit.metadata["version"]) for decision in decisions
    }
    kept = [
        decision
        for decision in decisions
        if decision.accepted and versions[id(decision)] is not None
    ]
    newest = max(
        (version for version in versions.values() if version and not version.is_prerelease),
        default=None,
    )
    if not kept or newest is None:
        return None
    last = max(kept, key=lambda decision: versions[id(decision)] or newest)
    landed = versions[id(last)]
    if landed is None or landed >= newest:
        return None
    keys = {refusing(decision.unit) for decision in decisions if versions[id(decision)] == newest}
    words = sorted({_WORDS[key] for key in keys if key in _WORDS})
    if not words:
        return None
    return last, f"newest {newest} refused ({', '.join(words)}), {landed} kept"


def _rank(release: Version | str, files: Sequence[Unit]) -> tuple[bool, bool, bool, Version | str]:
    """Return the rank of a release: the greater, the earlier.

    Versions and texts never meet behind the same first member, so ranks can be compared.
    """
    yanked = all(unit.metadata.get("yanked") for unit in files)
    if isinstance(release, str):
        return False, True, not yanked, release
    return True, not release.is_prerelease, not yanked, release
