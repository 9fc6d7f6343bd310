"""Requirement strings, name globs and filenames: which distributions a rule matches.

A bare name or glob means every distribution of the project, pre-releases too. With a specifier,
`include` and `allow` mean pre-releases only where the specifier itself names one; `exclude` and
`deny` always mean them too.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from reconciler.plugin import OptionFault
from reconciler_python.reading.bounded_requirements import read_marker, read_specifiers
from reconciler_python.reading.filenames import project_name, stem_and_type

_SUBJECT = re.compile(r"([A-Za-z0-9._*?-]+)\s*+(?:\[([^\]]*)\])?(.*)", re.DOTALL)

_MISSING_COMMA = re.compile(r"(?<=[\w*])\s+(?=[<>=!~])")


@lru_cache(maxsize=8192)
def parse_version(text: str) -> Version | None:
    """Return a version (PEP 440); None for one that only `legacy: allow` lets in.

    No specifier means such a version. Cached: few texts are most versions of all projects.
    """
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, or a number of more digits than Python reads
        return None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as written (`text`): a `project`, a `glob` or a `filename`, the others empty.

    Projects and globs are normalised. `index`: its position in its list. `extras` (normalised) and
    `marker` say what its dependencies are (PEP 508), and nothing about which of the project's
    distributions are meant.
    """

    text: str
    project: str = ""
    glob: str = ""
    filename: str = ""
    specifiers: SpecifierSet | None = None
    extras: frozenset[str] = frozenset()
    marker: Marker | None = None
    index: int = 0

    def allows(self, version: Version | None, *, prereleases: bool) -> bool:
        """Return True if this version of the project is meant.

        `prereleases`: also where the specifier does not name one. None, a version that cannot be
        read, is what a specifier never means.
        """
        if self.specifiers is None:
            return True
        if version is None:
            return False
        return self.specifiers.contains(
            version, prereleases=prereleases or bool(self.specifiers.prereleases)
        )


def parse_rule(text: str, *, filenames: bool = False, extras: bool = False, index: int = 0) -> Rule:
    """Parse `django`, `django>=5,<6` or `acme-*`. Raises OptionFault naming the text.

    `filenames`: also `django-5.0-py3-none-any.whl`. `extras`: it may name extras and an environment
    marker, `uvicorn[standard]>=0.30; sys_platform == "linux"`.
    """
    _refuse_filename_globs(text.strip(), filenames)
    if "-" in text and stem_and_type(text.strip()) is not None:
        if not filenames:
            hint = (
                "single files come in by `files`, and are kept out by `deny` of a filter; here name"
                " the project"
            )
            raise OptionFault(
                f"`{text}` looks like a filename, and means a project here", hint=hint
            )
        return Rule(text, filename=text.strip(), index=index)
    match = _SUBJECT.fullmatch(text.strip())
    if match is None:
        raise OptionFault(
            f"`{text}` is neither a requirement nor a name glob",
            hint="`django`, `django>=5,<6` or `acme-*`",
        )
    subject, named_extras, rest = match[1], match[2], match[3].strip()
    _refuse_extensions(text, named_extras, rest, allowed=extras)
    if "*" in subject or "?" in subject:
        if rest or named_extras is not None:
            what = (
                "version specifier"
                if named_extras is None and rest[0] != ";"
                else "extras and no environment marker"
            )
            raise OptionFault(
                f"`{text}`: a name glob takes no {what}",
                hint="name the projects one by one to say that",
            )
        return Rule(text, glob=canonicalize_name(subject), index=index)
    name = project_name(subject)
    if name is None:
        raise OptionFault(
            f"`{text}`: `{subject}` is no project name",
            hint="letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
        )
    versions, semicolon, marker = rest.partition(";")
    return Rule(
        text,
        project=name,
        specifiers=_specifiers(text, versions.strip()),
        extras=_extras(text, named_extras or ""),
        marker=_marker(text, marker.strip()) if semicolon else None,
        index=index,
    )


def _specifiers(text: str, written: str) -> SpecifierSet | None:
    if not written:
        return None
    try:
        return read_specifiers(
            written[1:-1] if written[0] == "(" and written[-1] == ")" else written
        )
    except ValueError:
        hint = between_commas(written) or "such as `>=5,<6`, `~=2.1` or `==2.1.*` (PEP 440)"
        raise OptionFault(f"`{text}`: `{written}` is no version specifier", hint=hint) from None


def between_commas(specifiers: str) -> str | None:
    """Return a hint for `>=5 <6`; None where no comma is missing."""
    right = _MISSING_COMMA.sub(",", specifiers)
    return f"commas stand between specifiers: `{right}`" if right != specifiers else None


def _extras(text: str, written: str) -> frozenset[str]:
    names = [part.strip() for part in written.split(",")] if written.strip() else []
    bad = next((name for name in names if project_name(name) is None), None)
    if bad is not None:
        raise OptionFault(
            f"`{text}`: `{bad}` is no extra",
            hint="names between commas, such as `uvicorn[standard]`",
        )
    return frozenset(canonicalize_name(name) for name in names)


def _marker(text: str, written: str) -> Marker:
    try:
        return read_marker(written)
    except ValueError:
        raise OptionFault(
            f"`{text}`: `{written}` is no environment marker",
            hint='such as `sys_platform == "linux"` (PEP 508)',
        ) from None


class Rules:
    """All rules of one key, found by project.

    Their number costs nothing per project, globs excepted.
    """

    def __init__(
        self, texts: Iterable[str], *, filenames: bool = False, extras: bool = False
    ) -> None:
        first: dict[str, int] = {}
        for index, text in enumerate(texts):
            first.setdefault(text, index)
        rules = [
            parse_rule(text, filenames=filenames, extras=extras, index=first[text])
            for text in sorted(first)
        ]
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
        self._any_glob = (
            re.compile("|".join(pattern.pattern for pattern, _ in self._globs))
            if self._globs
            else None
        )
        self._count = len(rules)

    def __bool__(self) -> bool:
        return self._count > 0

    def __len__(self) -> int:
        return self._count

    def for_project(self, project: str) -> Sequence[Rule]:
        """Return the rules that may mean distributions of this project, by text.

        Filename rules excepted.
        """
        named = self._by_project.get(project, [])
        if self._any_glob is None or not self._any_glob.match(project):
            return named
        globbed = [rule for pattern, rule in self._globs if pattern.match(project)]
        return sorted([*named, *globbed], key=lambda rule: rule.text)

    def concerns(self, project: str) -> bool:
        """Return True if any rule is about the project. Cheap, for every name of a long list."""
        return project in self._by_project or (
            self._any_glob is not None and self._any_glob.match(project) is not None
        )

    def projects(self) -> list[str] | None:
        """Return the projects that can be meant, by name; None where globs may mean others."""
        return None if self._globs else sorted(self._by_project)

    def literal_projects(self) -> list[str]:
        """Return the projects that are named without a glob, by name."""
        return sorted(self._by_project)

    def whole_project(self, project: str) -> Rule | None:
        """Return a rule that means every distribution of the project; None if there is none."""
        return next((rule for rule in self.for_project(project) if rule.specifiers is None), None)


class Matcher:
    """Rules, narrowed to one project.

    Lives for one decision: files of a release share the result.
    """

    def __init__(self, rules: Rules, project: str, *, prereleases: bool) -> None:
        self._rules = rules.for_project(project)
        self._by_filename = rules.by_filename
        self._prereleases = prereleases
        self._known: dict[str, Rule | None] = {}

    @property
    def never(self) -> bool:
        """True if no file of the project is meant."""
        return not self._rules and not self._by_filename

    @property
    def always(self) -> bool:
        """True if every file of the project is meant."""
        return any(rule.specifiers is None for rule in self._rules)

    def find(self, version: str, filename: str) -> Rule | None:
        """Return the first rule, by text, that means this file; None if no rule does.

        `version`: canonical, or as it is where that cannot be.
        """
        if filename in self._by_filename:
            return self._by_filename[filename]
        if version not in self._known:
            self._known[version] = next(self._meeting(version), None) if self._rules else None
        return self._known[version]

    def find_all(self, version: str, filename: str) -> list[Rule]:
        """Return every rule that means this file; the first is the one that `find` returns."""
        named = [self._by_filename[filename]] if filename in self._by_filename else []
        return [*named, *self._meeting(version)]

    def _meeting(self, version: str) -> Iterator[Rule]:
        parsed = parse_version(version)
        return (rule for rule in self._rules if rule.allows(parsed, prereleases=self._prereleases))


def _refuse_filename_globs(text: str, filenames: bool) -> None:
    """Raise OptionFault for `alpha-*.whl`: a rule that would never match.

    It is no file's name and no project's, so a `deny` would never deny.
    """
    if (
        not any(mark in text for mark in "*?[")
        or (stem_and_type(text) or stem_and_type(text.lower())) is None
    ):
        return
    exactly = "name each file exactly, or " if filenames else ""
    raise OptionFault(
        f"`{text}`: a glob means names of projects, not of files",
        hint=f"{exactly}glob the projects without the extension: `acme-*`",
    )


def _refuse_extensions(text: str, extras: str | None, rest: str, *, allowed: bool) -> None:
    """Raise OptionFault for what a requirement may say beyond a version, unless it is `allowed`.

    Extras and markers are about dependencies; a URL is about no index.
    """
    if extras is not None and not allowed:
        raise OptionFault(
            f"`{text}`: extras say nothing here, they are about dependencies",
            hint=f"leave out `[{extras}]`",
        )
    if ";" in rest and not allowed:
        raise OptionFault(
            f"`{text}`: an environment marker says nothing here", hint="leave out what follows `;`"
        )
    if rest.startswith("@"):
        raise OptionFault(
            f"`{text}`: a direct URL selects nothing from an index",
            hint="a name, with or without a version specifier",
        )
