"""The key `requirements` of a source: files beside the manifests, each read once.

requirement_files, lock_files .. the content of one file
this module .................... files and their formats; content is cached while it is in use
requirements ................... the model of requirements
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple
from weakref import WeakValueDictionary

import msgspec
from pydantic import BeforeValidator, Field, ValidationError, field_serializer, model_validator
from pydantic_core import InitErrorDetails

from reconciler.plugin import Located, LocatedPath, Malformed, OptionFault, Options
from reconciler_python.requirements.lock_files import read_lock
from reconciler_python.requirements.requirement_files import ParsedFiles, read_requirements
from reconciler_python.requirements.requirements import (
    Environment,
    ProjectRequirement,
    Requirements,
    constrain,
)

_LARGEST: Final = 64 * 1024 * 1024  # bytes of a file
_MOST: Final = 1_000  # files that one names
_SHOWN: Final = 50  # faults of one file
# nanoseconds: a file changed within such a time may have changed again without a newer time
_SETTLED: Final = 2_000_000_000

_PYLOCK = re.compile(r"pylock\.(?:[^.]+\.)?toml")
_BY_NAME: Final = {
    "uv.lock": "uv",
    "poetry.lock": "poetry",
    "pdm.lock": "pdm",
    "Pipfile.lock": "pipenv",
}
_OTHERS: Final = (".cfg", ".json", ".lock", ".py", ".toml", ".yaml", ".yml", "Pipfile")

Format = Literal["requirements", "pylock", "uv", "poetry", "pdm", "pipenv"]


class _Seen(NamedTuple):
    """The recorded state of a file.

    `settled`: it was old enough then for its `mark` to show every later change.
    """

    mark: tuple[int, ...]
    settled: bool
    digest: bytes


@dataclass(frozen=True, eq=False)
class Content:
    """Requirements of one entry's files. `files` and `variables`: those that were read."""

    requirements: tuple[ProjectRequirement, ...]
    constraints: tuple[ProjectRequirement, ...]
    files: dict[Path, _Seen]
    variables: dict[str, str | None]

    @cached_property
    def digest(self) -> str:
        """Digest of the meaning, in hex: comments, places and order of lines are no part of it."""
        meaning = [
            sorted(map(_meaning, self.requirements)),
            sorted(map(_meaning, self.constraints)),
        ]
        return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()

    def allowed(self, file: Located) -> bool:
        """Return True if the manifest of `file` may read all of this."""
        try:
            for path in self.files:
                file.readable(path)
            for name in self.variables:
                file.variable(name)
        except OptionFault:
            return False
        return True

    def current(self) -> bool:
        """Return True if reading it again would give the same.

        The bytes are read only where the files' times do not suffice.
        """
        if any(_variable(name) != value for name, value in self.variables.items()):
            return False
        try:
            return all(_unchanged(path, seen) for path, seen in self.files.items())
        except OptionFault:
            return False


_cache: WeakValueDictionary[tuple[str, Path, str, bool], Content] = WeakValueDictionary()


class Faults(OptionFault):
    """Several faults of one file and of those that it names."""

    def __init__(self, faults: Sequence[OptionFault]) -> None:
        shown = list(faults[:_SHOWN])
        if len(faults) > _SHOWN:
            shown.append(OptionFault(f"{len(faults) - _SHOWN:,} more faults"))
        self.faults = shown
        super().__init__("; ".join(map(str, shown)), hint=shown[0].hint)


class RequirementFile(Options):
    """One entry of `requirements`, in full."""

    file: LocatedPath = Field(
        description=(
            "A requirements file, what `pip freeze` wrote, or a lock file; relative to the"
            " manifest's own folder."
        )
    )
    format: Format | None = Field(
        default=None, description="What the file is, where its name does not tell."
    )
    unresolvable: Literal["refuse", "skip"] = Field(
        default="refuse",
        description=(
            "What becomes of lines that no index can resolve (editable, version control, URL,"
            " path): a fault, or left out."
        ),
    )

    @model_validator(mode="after")
    def _readable(self) -> RequirementFile:
        if self.file.recorded:
            return self
        try:
            _ = self.content
        except OptionFault as error:
            faults = error.faults if isinstance(error, Faults) else [error]
            details = [
                InitErrorDetails(
                    type="value_error", loc=(), input=self.file.written, ctx={"error": fault}
                )
                for fault in faults
            ]
            raise ValidationError.from_exception_data("requirements", details) from None
        return self

    @field_serializer("file")
    def _identified(self, file: Located) -> str:
        """Serialise by the requirements of the file, so that new content is a new option.

        The path of the file does not count.
        """
        try:
            return f"sha256:{self.content.digest}"
        except OptionFault:
            return file.written

    @cached_property
    def content(self) -> Content:
        """Return the requirements of the file.

        Raises OptionFault, or Faults, where it cannot be read.
        """
        return content(
            self.file,
            self.format or kind(self.file.written),
            skip=self.unresolvable == "skip",
        )


def _in_full(value: Any) -> Any:
    if isinstance(value, str):
        return {"file": value}
    if not isinstance(value, (dict, RequirementFile)):
        raise OptionFault(
            "expects a path, or a mapping",
            hint="`requirements.txt`, or `{file: requirements.txt, unresolvable: skip}`",
        )
    return value


RequirementFiles = Annotated[
    tuple[
        Annotated[
            RequirementFile, BeforeValidator(_in_full, json_schema_input_type=str | RequirementFile)
        ],
        ...,
    ],
    Field(strict=False),
]
"""A list in a manifest: paths, and mappings where there is more to say."""


def required(
    entries: Sequence[RequirementFile], environments: Sequence[Environment] = ()
) -> Requirements:
    """Return the requirements of the entries in these environments.

    Raises Malformed where a file is gone or has become invalid.
    """
    requirements: list[ProjectRequirement] = []
    for entry in entries:
        try:
            content = entry.content
        except OptionFault as error:
            raise Malformed(f"`requirements`: {error}", hint=error.hint) from None
        requirements += constrain(content.requirements, content.constraints, environments)
    return Requirements(bool(entries), requirements)


def kind(written: str) -> str:
    """Return the format of a file by its name. Raises OptionFault for a known other format."""
    name = os.path.basename(written)
    if _PYLOCK.fullmatch(name):
        return "pylock"
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.endswith(_OTHERS):
        names = ", ".join(f"`{name_}`" for name_ in ("requirements.txt", "pylock.toml", *_BY_NAME))
        raise OptionFault(
            f"`{written}` has no name of a requirements file or a lock file",
            hint=f"{names}; or say `{{file: ..., format: ...}}`",
        )
    return "requirements"


def content(file: Located, format: str, *, skip: bool) -> Content:
    """Return the requirements of a file, read again only when it has changed.

    Raises OptionFault, or Faults with everything that is wrong.
    """
    written, path = file.written, file.path
    key = written, path, format, skip
    cached = _cache.get(key)
    if cached is not None and cached.current() and cached.allowed(file):
        return cached
    files = _Files(file)
    parsed = (
        read_requirements(written, path, files, skip=skip)
        if format == "requirements"
        else _lock(written, path, format, files=files)
    )
    if parsed.faults:
        raise Faults(parsed.faults)
    if not (parsed.requirements or parsed.may_be_empty):
        raise OptionFault(
            f"`{written}` is read without a fault, and asks an index for nothing",
            hint=(
                "require something in it"
                if format == "requirements"
                else "lock again with a current release of its tool"
            )
            + ", or leave it out of `requirements`",
        )
    result = Content(
        tuple(parsed.requirements), tuple(parsed.constraints), files.seen, files.variables
    )
    _cache[key] = result
    return result


def _lock(written: str, path: Path, format: str, *, files: _Files) -> ParsedFiles:
    try:
        body = files.read(path)
    except OptionFault as error:
        raise OptionFault(f"`{written}`: {error}", hint=error.hint) from None
    return read_lock(format, written, body)


class _Files:
    """The files and variables that one entry uses, and their recorded states."""

    def __init__(self, file: Located) -> None:
        self._file = file
        self.seen: dict[Path, _Seen] = {}
        self.variables: dict[str, str | None] = {}

    def read(self, path: Path) -> bytes:
        """Read a file, and record its state. Raises OptionFault."""
        if len(self.seen) >= _MOST:
            raise OptionFault(f"more than {_MOST:,} files that name each other")
        body, self.seen[path] = _read(self._file.readable(path))
        return body

    def variable(self, name: str) -> str | None:
        """Return the value of a variable; None where it has none that the file may hold."""
        try:
            self.variables[name] = self._file.variable(name) or None
        except OptionFault:
            self.variables[name] = None
        return self.variables[name]


def _variable(name: str) -> str | None:
    return os.environ.get(name) or None  # an empty one is none, as for pip


def _unchanged(path: Path, seen: _Seen) -> bool:
    if not seen.settled:
        return _read(path)[1].digest == seen.digest
    try:
        return _mark(os.stat(path)) == seen.mark
    except (OSError, ValueError):
        return False


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(path: Path) -> tuple[bytes, _Seen]:
    """Read a plain file. Raises OptionFault. Never waits: no pipe or device is read."""
    body = None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            with open(descriptor, "rb") as file:
                body = file.read(_LARGEST + 1)
        else:
            os.close(descriptor)
    except FileNotFoundError:
        raise OptionFault(
            "there is no such file", hint="paths are relative to the file that names them"
        ) from None
    except (OSError, ValueError) as error:
        raise OptionFault(
            f"it cannot be read: {getattr(error, 'strerror', None) or 'no path'}"
        ) from None
    if body is None:
        raise OptionFault(
            "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no plain file",
            hint="name a file",
        )
    if len(body) > _LARGEST:
        raise OptionFault(f"it has more than {_LARGEST // 1024 // 1024} MiB")
    settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED
    return body, _Seen(_mark(status), settled, hashlib.sha256(body).digest())


def _meaning(requirement: ProjectRequirement) -> tuple[Any, ...]:
    files = sorted(
        (sorted(file.digests), "" if file.digests else file.filename) for file in requirement.files
    )
    types = sorted(requirement.package_types or ())
    prereleases = "" if requirement.prereleases is None else str(requirement.prereleases)
    return (
        requirement.project,
        str(requirement.specifiers or ""),
        str(requirement.marker or ""),
        sorted(requirement.extras),
        types,
        prereleases,
        files,
    )
