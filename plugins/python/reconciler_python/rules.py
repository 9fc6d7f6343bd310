"""Requirement strings, name globs and filenames: who is meant.

A bare name or glob means every distribution of the project, pre-releases too. With a specifier, `include` and
`allow` mean pre-releases only where the specifier itself names one; `exclude` and `deny` always mean them too.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from reconciler.plugin import OptionFault
from reconciler_python.filenames import project_name, stem_and_type

_SUBJECT = re.compile(r"\s*([A-Za-z0-9._*?-]+)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as written (`text`). Exactly one of `project` (normalised), `glob` (normalised) and `filename` is set."""

    text: str
    project: str = ""
    glob: str = ""
    filename: str = ""
    specifiers: SpecifierSet | None = None

    def meets(self, version: Version, *, prereleases: bool) -> bool:
        """Is this version meant, given that the project is? `prereleases`: also where the specifier does not name one."""
        if self.specifiers is None:
            return True
        return self.specifiers.contains(version, prereleases=prereleases or bool(self.specifiers.prereleases))


def parse_rule(text: str, *, filenames: bool = False) -> Rule:
    """`django`, `django>=5,<6`, `acme-*`, and with `filenames` also `django-5.0-py3-none-any.whl`. Raises OptionFault naming it."""
    _refuse_filename_globs(text.strip(), filenames)
    if filenames and "-" in text and stem_and_type(text.strip()) is not None:
        return Rule(text, filename=text.strip())
    match = _SUBJECT.fullmatch(text)
    if match is None:
        raise OptionFault(f"`{text}` is neither a requirement nor a name glob", hint="`django`, `django>=5,<6` or `acme-*`")
    subject, rest = match.groups()
    _refuse_extensions(text, rest)
    if "*" in subject or "?" in subject:
        if rest:
            raise OptionFault(f"`{text}`: a name glob takes no version specifier", hint="name the projects one by one to say which versions")
        return Rule(text, glob=canonicalize_name(subject))
    name = project_name(subject)
    if name is None:
        raise OptionFault(f"`{text}`: `{subject}` is no project name", hint="letters, digits, `-`, `_` and `.`, a letter or digit at both ends")
    if not rest:
        return Rule(text, project=name)
    try:
        return Rule(text, project=name, specifiers=SpecifierSet(rest[1:-1] if rest[0] == "(" and rest[-1] == ")" else rest))
    except InvalidSpecifier:
        raise OptionFault(f"`{text}`: `{rest}` is no version specifier", hint="such as `>=5,<6`, `~=2.1` or `==2.1.*` (PEP 440)") from None


class Rules:
    """All rules of one key, found by project: their number costs nothing per project, globs excepted."""

    def __init__(self, texts: Iterable[str], *, filenames: bool = False) -> None:
        rules = sorted({parse_rule(text, filenames=filenames) for text in texts}, key=lambda rule: rule.text)
        self._by_project: dict[str, list[Rule]] = {}
        self._globs: list[tuple[re.Pattern[str], Rule]] = []
        self.by_filename: dict[str, Rule] = {}
        for rule in rules:
            if rule.filename:
                self.by_filename[rule.filename] = rule
            elif rule.glob:
                self._globs.append((re.compile(fnmatch.translate(rule.glob)), rule))
            else:
                self._by_project.setdefault(rule.project, []).append(rule)
        self._empty = not rules

    def __bool__(self) -> bool:
        return not self._empty

    def about(self, project: str) -> Sequence[Rule]:
        """The rules that may mean distributions of this project, by text; filename rules excepted."""
        named = self._by_project.get(project, [])
        globbed = [rule for pattern, rule in self._globs if pattern.match(project)]
        return sorted([*named, *globbed], key=lambda rule: rule.text) if globbed else named

    def projects(self) -> list[str] | None:
        """The projects that can be meant, by name; None when that depends on which ones there are."""
        return None if self._globs else sorted(self._by_project)

    def whole_project(self, project: str) -> Rule | None:
        """A rule that means every distribution of the project."""
        return next((rule for rule in self.about(project) if rule.specifiers is None), None)


class Matcher:
    """Rules, narrowed to one project. Lives for one decision of its units: files of a release share the answer."""

    def __init__(self, rules: Rules, project: str, *, prereleases: bool) -> None:
        self._rules = rules.about(project)
        self._by_filename = rules.by_filename
        self._prereleases = prereleases
        self._known: dict[str, Rule | None] = {}

    def find(self, version: str, filename: str) -> Rule | None:
        """The first rule, by text, that means this file; None if no rule does. `version` is canonical."""
        if filename in self._by_filename:
            return self._by_filename[filename]
        if version not in self._known:
            self._known[version] = self._search(version)
        return self._known[version]

    def _search(self, version: str) -> Rule | None:
        if not self._rules:
            return None
        parsed = Version(version)
        return next((rule for rule in self._rules if rule.meets(parsed, prereleases=self._prereleases)), None)


def _refuse_filename_globs(text: str, filenames: bool) -> None:
    """`alpha-*.whl` would be no file's name and no project's: a rule that never means anything, and a `deny` that never denies."""
    if not any(mark in text for mark in "*?[") or (stem_and_type(text) or stem_and_type(text.lower())) is None:
        return
    exactly = "name each file exactly, or " if filenames else ""
    raise OptionFault(f"`{text}`: a glob means names of projects, not of files", hint=f"{exactly}glob the projects without the extension: `acme-*`")


def _refuse_extensions(text: str, rest: str) -> None:
    """What a requirement may say beyond a version, and a selection cannot mean."""
    if rest.startswith("["):
        raise OptionFault(f"`{text}`: extras are not supported yet", hint=f"leave out `{rest.partition(']')[0]}]`")
    if ";" in rest:
        raise OptionFault(f"`{text}`: environment markers are not supported yet", hint="leave out what follows `;`")
    if rest.startswith("@"):
        raise OptionFault(f"`{text}`: a direct URL selects nothing from an index", hint="a name, with or without a version specifier")
