"""Keys that need a whole project: `if-nothing-else`, then `latest`.

They decide among the files that everything else lets in.
"""

from __future__ import annotations

from collections.abc import Sequence

from packaging.version import Version

from reconciler.plugin import Decision, Step, Unit
from reconciler_python.matching.rules import parse_version
from reconciler_python.options.filter_options import FilterOptions, Prereleases
from reconciler_python.selecting.checks import Scope
from reconciler_python.selecting.filter_checks import is_prerelease

_STRICTNESS: Sequence[Prereleases] = ("deny", "if-nothing-else", "allow")
_ONLY_PASSING = "counts only what passes everything else"


def prerelease_policy(filters: Sequence[tuple[Scope, FilterOptions]]) -> Prereleases | None:
    """Return what all filters together say of pre-releases: the strictest word.

    None where none says one, and specifiers tell.
    """
    policies = {options.prereleases for _, options in filters}
    return next((policy for policy in _STRICTNESS if policy in policies), None)


class Releases:
    """The collective keys of the filters in force. Of several `latest` the smallest counts."""

    def __init__(self, filters: Sequence[tuple[Scope, FilterOptions]]) -> None:
        self._stages: list[_FinalFirst | _Latest] = []
        hesitant = [scope for scope, options in filters if options.prereleases == "if-nothing-else"]
        if hesitant and prerelease_policy(filters) == "if-nothing-else":
            self._stages.append(_FinalFirst(hesitant[0]))
        counts = [
            (scope, options.latest) for scope, options in filters if options.latest is not None
        ]
        if counts:
            self._stages.append(_Latest(*min(counts, key=lambda count: count[1])))

    def __bool__(self) -> bool:
        return bool(self._stages)

    def apply(self, decisions: Sequence[Decision]) -> Sequence[Decision]:
        """Return the same decisions, of which some are now against the file."""
        for stage in self._stages:
            out = stage.out([decision.unit for decision in decisions if decision.accepted])
            if out:
                decisions = [
                    Decision(decision.unit, False, stage.reason)
                    if decision.accepted and decision.unit.key in out
                    else decision
                    for decision in decisions
                ]
        return decisions

    def steps(
        self, traced: Sequence[Unit], decisions: Sequence[Decision]
    ) -> Sequence[Sequence[Step]]:
        """Return the steps for each of `traced`.

        `decisions`: what everything else says of the project's files, these among them.
        """
        chains: list[list[Step]] = [[] for _ in traced]
        for stage in self._stages:
            passing = [decision.unit for decision in decisions if decision.accepted]
            decided, out = {id(unit) for unit in passing}, stage.out(passing)
            for unit, chain in zip(traced, chains, strict=True):
                refused = id(unit) in decided and unit.key in out
                text = (
                    stage.reason
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

    def out(self, passing: Sequence[Unit]) -> set[str]:
        early = {unit.key for unit in passing if is_prerelease(unit)}
        return early if len(early) < len(passing) else set()


class _Latest:
    """`latest`: the newest releases of those that pass everything else.

    Final releases before pre-releases, those not yanked before yanked ones, then by version;
    unreadable versions come last.
    """

    key = "latest"

    def __init__(self, scope: Scope, count: int) -> None:
        self.scope = scope
        self._count = count
        self.reason = scope.because(f"not among the latest {count}", self.key)
        self.passing = scope.because(f"among the latest {count}", self.key)
        self.unasked = scope.because(f"latest {_ONLY_PASSING}", self.key)

    def out(self, passing: Sequence[Unit]) -> set[str]:
        releases: dict[Version | str, list[Unit]] = {}
        for unit in passing:
            text = unit.metadata["version"]
            releases.setdefault(parse_version(text) or text, []).append(
                unit
            )  # `1.0` and `1.0.0` are one release
        if len(releases) <= self._count:
            return set()
        ranked = sorted(
            releases, key=lambda release: _rank(release, releases[release]), reverse=True
        )
        return {unit.key for release in ranked[self._count :] for unit in releases[release]}


def _rank(release: Version | str, files: Sequence[Unit]) -> tuple[bool, bool, bool, Version | str]:
    """Return the rank of a release: the greater, the earlier.

    Versions and texts never meet behind the same first member, so ranks can be compared.
    """
    yanked = all(unit.metadata.get("yanked") for unit in files)
    if isinstance(release, str):
        return False, True, not yanked, release
    return True, not release.is_prerelease, not yanked, release
