"""Requirements files, and output of `pip freeze`, as requirements and constraints.

requirement_lines .. the text of one file -> its logical lines
this module ........ lines of a file, and of the files that it names -> `ProjectRequirement`
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from packaging.utils import canonicalize_name

from reconciler.plugin import Malformed, OptionFault, sanitize
from reconciler_python.reading.bounded_requirements import read_requirement
from reconciler_python.reading.filenames import project_name
from reconciler_python.requirements.requirement_lines import (
    Line,
    decode_file,
    logical_lines,
    unset_variable,
)
from reconciler_python.requirements.requirements import LockedFile, ProjectRequirement, constrain

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DIRECT = re.compile(r"[A-Za-z0-9._-]+\s*(?:\[[^\]]*\])?\s*@")
_ARCHIVES: Final = (
    ".whl",
    ".zip",
    ".gz",
    ".tgz",
    ".tar",
    ".bz2",
    ".tbz",
    ".xz",
    ".txz",
    ".lzma",
    ".tlz",
    ".lz",
)
_CREDENTIALS = re.compile(r"//[^/@\s]*@")
# As pip: digests that cannot be forged.
_QUOTED = re.compile("'[^']*'|\"[^\"]*\"")
_STRONG: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX = re.compile(r"[0-9a-fA-F]+")
_MISTAKEN = re.compile(r"(?<![=<>!~])(?:=>|=<|<<|>>|=(?!=))")
_MEANT: Final = {"=>": ">=", "=<": "<=", "<<": "<", ">>": ">", "=": "=="}
_WITHIN: Final = frozenset(
    {"--hash", "--config-settings", "--global-option", "--build-option", "--install-option"}
)
MOST_FAULTS: Final = 10_000  # of one entry
_DEEPEST: Final = 32  # files that name each other
_EXAMPLES: Final = (
    "one requirement a line, such as `name` or `name[extra]>=1,<2; python_version >= '3.11'`"
)


class TooManyFaults(OptionFault):
    """Raised for a file that is none of its kind: reading on would only take memory."""


class Source(Protocol):
    """Access to files and variables. `read` raises OptionFault."""

    def read(self, path: Path) -> bytes: ...

    def variable(self, name: str) -> str | None: ...


@dataclass
class ParsedFiles:
    """Requirements of files. Constraints narrow `requirements`, in any order.

    may_be_empty: whether it is plain that nothing is required: no line says anything, or those that
    do were to be skipped.
    """

    requirements: list[ProjectRequirement] = field(default_factory=list)
    constraints: list[ProjectRequirement] = field(default_factory=list)
    faults: list[OptionFault] = field(default_factory=list)
    may_be_empty: bool = False


def read_requirements(written: str, path: Path, source: Source, *, skip: bool) -> ParsedFiles:
    """Read a requirements file and those that it names.

    `written`: the file as the manifest calls it, for places. `skip`: leave out what no index can
    resolve (editable, VCS, URL and path requirements) instead of refusing it.
    """
    reader = _Reader(source, skip)
    reader.file(written, path, constraint=False, above=())
    return reader.finished()


@dataclass
class _Control:
    """One of pip's pairs of options that exclude each other: names, or `:all:`, on either side.

    The last word counts.
    """

    positive: set[str] = field(default_factory=set)
    negative: set[str] = field(default_factory=set)

    def apply(self, value: str, *, positive: bool) -> None:
        sides = self.positive, self.negative
        target, against = sides if positive else sides[::-1]
        for name in value.split(","):
            if name == ":none:":
                target.clear()
            elif name == ":all:":
                target.clear()
                against.clear()
                target.add(name)
            else:
                plain = canonicalize_name(name.strip())
                against.discard(plain)
                target.add(plain)

    def of(self, project: str) -> bool | None:
        """Return the side that a project is on: True for positive, None for neither."""
        for name in (project, ":all:"):
            if name in self.positive or name in self.negative:
                return name in self.positive
        return None


class _Reader:
    """The files of one entry, as they are read."""

    def __init__(self, source: Source, skip: bool) -> None:
        self._source = source
        self._skip = skip
        self._seen: set[tuple[Path, bool]] = set()
        self._parsed = ParsedFiles()
        self._lines = self._skipped = 0
        self._types = _Control()  # wheels, or source distributions
        self._releases = _Control()  # pre-releases too, or final ones only
        self._strict = False
        self._options: dict[str, Callable[[str], None]] = {
            "--only-binary": lambda value: self._types.apply(value, positive=True),
            "--no-binary": lambda value: self._types.apply(value, positive=False),
            "--pre": lambda _: self._releases.apply(":all:", positive=True),
            "--all-releases": lambda value: self._releases.apply(value, positive=True),
            "--only-final": lambda value: self._releases.apply(value, positive=False),
            "--require-hashes": lambda _: self._require(True),
            "--no-require-hashes": lambda _: self._require(False),
        }

    def file(self, written: str, path: Path, *, constraint: bool, above: tuple[Path, ...]) -> None:
        """Read one file. Raises OptionFault where it cannot be read.

        Faults within it are collected.
        """
        if (path, constraint) in self._seen:
            return  # it says the same again
        self._seen.add((path, constraint))
        try:
            text = decode_file(self._source.read(path))
        except OptionFault as error:
            raise OptionFault(f"`{written}`: {error}", hint=error.hint) from None

        def fault(number: int, error: OptionFault) -> None:
            if len(self._parsed.faults) >= MOST_FAULTS:
                raise TooManyFaults(f"`{written}` has more than {MOST_FAULTS:,} faults")
            self._parsed.faults.append(OptionFault(f"{written}:{number}: {error}", hint=error.hint))

        for line in logical_lines(text, self._source.variable, fault):
            self._lines += 1
            try:
                self._line(line, f"{written}:{line.number}", constraint)
                for (name, value), shown in zip(line.options, line.shown, strict=True):
                    if not line.text and name in ("--requirement", "--constraint"):
                        self._nested(
                            value,
                            shown,
                            written,
                            constraint=constraint or name == "--constraint",
                            above=(*above, path),
                        )
            except TooManyFaults:
                raise
            except OptionFault as error:
                fault(line.number, error)

    def finished(self) -> ParsedFiles:
        """Return everything that was read, with the options that apply to all lines."""
        parsed = self._parsed
        parsed.may_be_empty = not self._lines or self._skipped > 0
        parsed.requirements = [self._controlled(requirement) for requirement in parsed.requirements]
        by_project: dict[str, list[ProjectRequirement]] = {}
        for limit in parsed.constraints:
            by_project.setdefault(limit.project, []).append(limit)
        for requirement in parsed.requirements:
            limits = by_project.get(requirement.project, ())
            if (
                self._strict
                and not requirement.files
                and not any(limit.files for limit in limits if limit.marker is None)
            ):
                parsed.faults.append(
                    OptionFault(
                        f"{requirement.place}: `{requirement.text}` has no `--hash`, and"
                        " `--require-hashes` asks for one"
                    )
                )
            if requirement.files and any(limit.files for limit in limits):
                try:
                    constrain([requirement], limits, ())
                except Malformed as error:
                    parsed.faults.append(OptionFault(str(error), hint=error.hint))
        return parsed

    def _require(self, strict: bool) -> None:
        self._strict = strict

    def _nested(
        self, value: str, shown: str, written: str, *, constraint: bool, above: tuple[Path, ...]
    ) -> None:
        _check_set(value)
        if _SCHEME.match(value):
            raise OptionFault(
                "a requirements file behind a URL is not read",
                hint="keep a copy of it beside the manifests",
            )
        if not (value.isprintable() and shown.isprintable()):
            raise OptionFault("a path of characters that do not print")
        path = Path(os.path.normpath(above[-1].parent / value))
        if path in above:
            raise OptionFault(f"`{shown}` names itself, directly or through others")
        if len(above) >= _DEEPEST:
            raise OptionFault(f"files that name each other {_DEEPEST} deep")
        self.file(
            os.path.normpath(os.path.join(os.path.dirname(written), shown)),
            path,
            constraint=constraint,
            above=above,
        )

    def _line(self, line: Line, place: str, constraint: bool) -> None:
        if not line.text:
            self._options_only(line)
            return
        stray = next((name for name, _ in line.options if name not in _WITHIN), None)
        if stray is not None:
            raise OptionFault(
                f"`{stray}` after a requirement says nothing",
                hint="options have lines of their own, but for `--hash`",
            )
        requirement = self._requirement(line, place)
        if requirement is None:
            return
        if not constraint:
            self._parsed.requirements.append(requirement)
        elif requirement.extras:
            raise OptionFault(
                f"`{requirement.text}`: a constraint takes no extras",
                hint="name them where the project is required",
            )
        else:
            self._parsed.constraints.append(requirement)

    def _options_only(self, line: Line) -> None:
        """Apply a line of options.

        Those that say where pip looks and how it builds are passed over: files come from the
        source's remote, as they are.
        """
        for name, value in line.options:
            if name == "--editable":
                self._unresolvable("an editable requirement")
            elif name == "--hash":
                raise OptionFault(
                    "`--hash` without a requirement", hint="end the line before it with a backslash"
                )
            elif name in self._options:
                self._options[name](value)

    def _requirement(self, line: Line, place: str) -> ProjectRequirement | None:
        """Return the requirement of a line; None for what is skipped."""
        if _direct(line.text):
            self._unresolvable("a requirement by URL, path or version control")
            return None
        _check_set(line.text)
        shown = _without_credentials(line.written)
        try:
            requirement = read_requirement(line.text)
        except ValueError as error:
            because, hint = _mistake(line.written) or (
                _first_line(error) if line.text == line.written else "",
                _EXAMPLES,
            )  # it quotes variables too
            raise OptionFault(
                "that is no requirement" + (f": {because}" if because else ""), hint=hint
            ) from None
        name = project_name(requirement.name)
        if name is None:
            raise OptionFault(
                "that is no project's name",
                hint="letters, digits, `-`, `_` and `.`, 255 of them at the most",
            )
        extras = frozenset(canonicalize_name(extra) for extra in requirement.extras)
        digests = [_digest(value) for option, value in line.options if option == "--hash"]
        files = tuple(LockedFile("", (digest,)) for digest in digests)
        specifiers = requirement.specifier or None
        return ProjectRequirement(name, shown, place, specifiers, requirement.marker, extras, files)

    def _unresolvable(self, what: str) -> None:
        if not self._skip:
            raise OptionFault(
                f"{what} cannot come from an index",
                hint=(
                    "require a release of it instead; or leave such lines out: `{file: ...,"
                    " unresolvable: skip}`"
                ),
            )
        self._skipped += 1

    def _controlled(self, requirement: ProjectRequirement) -> ProjectRequirement:
        wheels, prereleases = (
            self._types.of(requirement.project),
            self._releases.of(requirement.project),
        )
        if wheels is None and prereleases is None:
            return requirement
        types = None if wheels is None else frozenset({"wheel" if wheels else "sdist"})
        return replace(requirement, package_types=types, prereleases=prereleases)


def _direct(text: str) -> bool:
    """Return True for a URL, path or file: fetched from where it says, not from an index."""
    head = text.partition(";")[0].strip()
    name = head.partition("[")[0].strip()
    return (
        bool(_SCHEME.match(head) or _DIRECT.match(head))
        or head.startswith(("./", "../", "~"))
        or head in (".", "..")
        or "/" in name
        or "\\" in name
        or name.lower().endswith(_ARCHIVES)
    )


def _digest(value: str) -> tuple[str, str]:
    """Return a digest of `--hash`. Raises OptionFault."""
    _check_set(value)
    algorithm, _, text = value.partition(":")
    length = _STRONG.get(algorithm)
    if length is None:
        raise OptionFault(
            f"`--hash` with `{algorithm}`"
            if algorithm in hashlib.algorithms_available
            else "`--hash` without the name of a digest",
            hint="`--hash=sha256:<hex>`; also `sha384` and `sha512`",
        )
    if len(text) != length or not _HEX.fullmatch(text):
        raise OptionFault(f"`--hash={algorithm}:` is followed by {length} hex digits")
    return algorithm, text.lower()


def _check_set(text: str) -> None:
    name = unset_variable(text)
    if name is not None:
        raise OptionFault(
            f"the environment variable `{name}` is not set",
            hint=(
                "set it where this runs (an empty one counts as none), or write its value here;"
                " `RECONCILER_SECRET_NAMES` must allow it where that is set, or `CI` is"
            ),
        )


def _without_credentials(text: str) -> str:
    """Return a text of a requirement file for one line of a message."""
    return sanitize(_CREDENTIALS.sub("//...@", text), 200)


def _mistake(written: str) -> tuple[str, str] | None:
    """Return what is wrong with an operator, and how it is meant; None if nothing is."""
    match = _MISTAKEN.search(written.partition(";")[0])
    if match is None:
        return None
    meant = _MEANT[match[0]]
    return f"`{match[0]}` compares no versions", f"`{meant}` does"


def _first_line(error: ValueError) -> str:
    text = _QUOTED.sub("...", str(error).partition("\n")[0])
    if "after name with no version specifier" in text:
        return "after the name comes a version specifier, or `;` and a marker, or nothing"
    return text[:1].lower() + text[1:]
