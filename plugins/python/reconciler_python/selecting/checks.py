"""A check: one key, narrowed to one project, that decides on each file alone.

A check knows nothing of other files and other keys, so that neither their order nor their number
matters, and asking for more never lets more in. Keys that need the whole project are in `releases`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.plugin import TraceStep, Unit
from reconciler_python.matching.rules import Matcher, Rule


class Scope(NamedTuple):
    """The resource in which keys are written.

    `name`: its name in reasons. `filter` and `prefix`: its place, as in a Step.
    """

    name: str
    filter: str
    prefix: tuple[str, ...]

    def key(self, key: str) -> str:
        """Return the key with the name of its filter: `house-rules.deny`."""
        return f"{self.name}.{key}" if self.name else key

    def because(self, text: str, key: str) -> str:
        """`denied by "evil" (house-rules.deny)`; the source's own keys need no name."""
        return f"{text} ({self.key(key)})" if self.name else text

    def step(self, passed: bool, text: str, *key: str | int) -> TraceStep:
        return TraceStep(passed, text, self.filter, (*self.prefix, *key))


SOURCE = Scope("", "", ())
SOURCE_FILTER = Scope("filter", "", ("filter",))


def filter_scope(name: str) -> Scope:
    """Return the scope of a Filter resource."""
    return Scope(name, name, ())


class Check:
    """One key, narrowed to one project.

    `rule`: the rule by which a plan counts refusals, without any value of a file: the key with the
    name of its filter (`house-rules.platforms`); if empty, the reason, which then is the same for
    every file. `silent`: it lets every file of this project in, so that only an explanation
    needs it.
    """

    silent = False

    def __init__(self, scope: Scope, key: str) -> None:
        self.scope = scope
        self.key = key
        self.rule = scope.key(key)

    def reason(self, unit: Unit) -> str | None:
        """Return why the file is out; None if this key lets it in."""
        raise NotImplementedError

    def passing(self, unit: Unit) -> str:
        """Return what this key says of a file that it lets in."""
        raise NotImplementedError

    def steps(self, unit: Unit) -> Iterator[TraceStep]:
        """Yield the steps of a file: the first one that does not pass is the reason."""
        reason = self.reason(unit)
        yield self.scope.step(
            reason is None, self.passing(unit) if reason is None else reason, self.key
        )


class DenyCheck(Check):
    """`deny`, and `exclude` of a source: wins over everything."""

    def __init__(self, scope: Scope, key: str, *, verb: str, matcher: Matcher) -> None:
        super().__init__(scope, key)
        self._verb = verb
        self._matcher = matcher
        self.silent = matcher.never

    def reason(self, unit: Unit) -> str | None:
        rule = self._matcher.find(unit.metadata["version"], unit.key)
        return None if rule is None else self._text(rule)

    def steps(self, unit: Unit) -> Iterator[TraceStep]:
        rules = self._matcher.find_all(unit.metadata["version"], unit.key)
        for rule in rules:
            yield self.scope.step(False, self._text(rule), self.key, rule.index)
        if not rules:
            yield self.scope.step(
                True, self.scope.because(f"{self._verb} by no rule", self.key), self.key
            )

    def _text(self, rule: Rule) -> str:
        return self.scope.because(f'{self._verb} by "{rule.text}"', self.key)


class AllowCheck(Check):
    def __init__(self, scope: Scope, matcher: Matcher) -> None:
        super().__init__(scope, "allow")
        self._matcher = matcher
        self.silent = matcher.always

    def reason(self, unit: Unit) -> str | None:
        if self._matcher.find(unit.metadata["version"], unit.key) is not None:
            return None
        return self.scope.because("matches no allow", self.key)

    def steps(self, unit: Unit) -> Iterator[TraceStep]:
        rules = self._matcher.find_all(unit.metadata["version"], unit.key)
        for rule in rules:
            yield self.scope.step(
                True,
                self.scope.because(f'allowed by "{rule.text}"', self.key),
                self.key,
                rule.index,
            )
        if not rules:
            yield self.scope.step(False, self.scope.because("matches no allow", self.key), self.key)
