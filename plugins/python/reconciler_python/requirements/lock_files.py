"""Lock files of the packaging tools: each names releases, most of them files with their digests.

`pylock.toml` (PEP 751), `uv.lock`, `poetry.lock`, `pdm.lock` and `Pipfile.lock`. What a lock does
not take from an index (the project itself, directories, version control, direct URLs) is left out:
no index has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from reconciler.plugin import OptionFault, sanitize
from reconciler_python.reading.bounded_requirements import read_marker
from reconciler_python.reading.filenames import project_name
from reconciler_python.requirements.requirement_files import (
    MOST_FAULTS,
    ParsedFiles,
    TooManyFaults,
)
from reconciler_python.requirements.requirements import LockedFile, ProjectRequirement

_SIZES: Final = {
    "md5": 32,
    "sha1": 40,
    "sha224": 56,
    "sha256": 64,
    "sha384": 96,
    "sha512": 128,
    "blake2b": 128,
    "blake2s": 64,
}
_DIGEST = re.compile(r"([a-z0-9]+):([0-9a-fA-F]+)")
_QUERY = re.compile(r"[?#]")
_CHOICE = re.compile(
    r"""(?:"[^"]*"|'[^']*') (?:not in|in) (?:extras|dependency_groups)\b"""
    r"""|\bextra [!=]= (?:"[^"]*"|'[^']*')|(?:"[^"]*"|'[^']*') [!=]= extra\b"""
)
_ENTRY = re.compile(r'[ \t]*+"([^"\\]*+)"[ \t]*+:[ \t]*+\{')
_UV_ELSEWHERE: Final = ("git", "url", "path", "directory", "editable", "virtual")
_POETRY_ELSEWHERE: Final = ("git", "url", "file", "directory")
_PDM_ELSEWHERE: Final = ("git", "hg", "svn", "bzr", "url", "path", "editable")
_PIPENV_ELSEWHERE: Final = ("git", "hg", "svn", "bzr", "file", "path", "editable", "url")
# Before `markers` there was one key for each variable of a marker (PEP 508), as in a Pipfile.
_PIPENV_VARIABLES: Final = (
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
)
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|\((?!at |char )[^)]*\)""")
_Table = Mapping[str, Any]


class _Unreadable(ValueError):
    """Raised for a package that violates the format; the text gives the reason."""


def read_lock(format: str, written: str, body: bytes) -> ParsedFiles:
    """Read a lock file; faults of single packages are part of the result.

    `format`: `pylock`, `uv`, `poetry`, `pdm` or `pipenv`; `written`: the file as the manifest calls
    it. Raises OptionFault where the whole file is wrong.
    """
    language = "JSON" if format == "pipenv" else "TOML"
    try:
        return _read(format, written, body)
    except OptionFault:
        raise
    except UnicodeDecodeError:
        raise OptionFault(f"`{written}`: its bytes are no UTF-8") from None
    except ValueError as error:
        reason = _without_content(str(error))
    except RecursionError:
        reason = "it is nested too deeply"
    raise OptionFault(f"`{written}` cannot be read as {language}: {reason}")


def _without_content(text: str) -> str:
    """Return why a document cannot be parsed, without what stands in it."""
    return _one_line(_QUOTED.sub("...", text))


def _read(format: str, written: str, body: bytes) -> ParsedFiles:
    text = str(body, "utf-8-sig").replace("\r\n", "\n")
    document = json.loads(text) if format == "pipenv" else _read_toml(text)
    if not isinstance(document, dict):
        raise OptionFault(f"`{written}` is no lock file: it holds no mapping")
    lock = _Lock(written, text)
    _READERS[format](lock, document)
    return lock.parsed


def _read_toml(text: str) -> dict[str, Any]:
    import tomli  # only runs with a lock file need it

    return tomli.loads(text)


def package_lines(text: str, header: str, count: int) -> list[int]:
    """Return the line in which each `[[header]]` begins, counted from 1.

    Returns an empty list where the text does not hold exactly `count` of them: then some line only
    looks like a header, within a text of several lines.
    """
    marker, numbers = f"\n[[{header}]]\n", []
    if text.startswith(marker[1:]):
        numbers.append(1)
    line, start = 1, 0
    position = text.find(marker)
    while position >= 0:
        line += text.count("\n", start, position + 1)
        start = position + 1
        numbers.append(line)
        position = text.find(marker, start)
    return numbers if len(numbers) == count else []


class _Lock:
    """A lock file on its way into requirements."""

    def __init__(self, written: str, text: str) -> None:
        self.written = written
        self.text = text
        self.parsed = ParsedFiles()

    def unsupported(self, version: object, understood: str, tool: str) -> OptionFault:
        shown = (
            "no version of its format"
            if version is None
            else f"version {_one_line(str(version))} of its format"
        )
        return OptionFault(
            f"`{self.written}` states {shown}; understood is {understood}",
            hint=f"lock again with a release of {tool} that writes it",
        )

    def packages(
        self, header: str, packages: Sequence[Any], read: Callable[[Any], ProjectRequirement | None]
    ) -> None:
        """Add the packages under `[[header]]`, in the order of the file."""
        numbers = package_lines(self.text, header, len(packages))
        for index, package in enumerate(packages):
            self.add(numbers[index] if numbers else None, package, read)

    def tables(self, document: _Table, header: str) -> list[_Table]:
        tables = document.get(header, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise OptionFault(f"`{self.written}`: its `{header}` is no list of tables")
        return tables

    def add(
        self, line: int | None, package: Any, read: Callable[[Any], ProjectRequirement | None]
    ) -> None:
        """Add a package. `read` returns None for one that comes from no index."""
        place = self.written if line is None else f"{self.written}:{line}"
        try:
            requirement = read(package)
        except _Unreadable as error:
            if len(self.parsed.faults) >= MOST_FAULTS:
                raise TooManyFaults(
                    f"`{self.written}` has more than {MOST_FAULTS:,} faults"
                ) from None
            self.parsed.faults.append(
                OptionFault(
                    f"{place}: {error}", hint="lock again: the file is not as its tool writes it"
                )
            )
            return
        if requirement is not None:
            self.parsed.requirements.append(replace(requirement, place=place))


def _read_uv(lock: _Lock, document: _Table) -> None:
    version = document.get("version")
    if version != 1 or isinstance(version, bool):
        raise lock.unsupported(version, "version 1", "uv")

    def read(package: _Table) -> ProjectRequirement | None:
        source = _of(package, "source", dict)
        if source is None or any(kind in source for kind in _UV_ELSEWHERE):
            return None
        if "registry" not in source:
            raise _Unreadable(
                f"`source` of an unknown kind: {_one_line(', '.join(map(str, source)))}"
            )
        sdist = _of(package, "sdist", dict)
        wheels = _tables(package, "wheels") or _tables(package, "wheel")
        files = [
            _file(table, "url", "path", "filename") for table in ([sdist] if sdist else []) + wheels
        ]
        markers = _of(package, "resolution-markers", list) or []
        return _locked(package, files, markers)

    # uv called them `distribution` at first, and still reads that
    header = "package" if "package" in document else "distribution"
    lock.packages(header, lock.tables(document, header), read)


def _read_poetry(lock: _Lock, document: _Table) -> None:
    metadata = document.get("metadata")
    version = metadata.get("lock-version") if isinstance(metadata, dict) else None
    if not isinstance(version, str) or version.partition(".")[0] not in ("1", "2"):
        raise lock.unsupported(version, "versions 1 and 2", "Poetry")
    elsewhere = _by_name(metadata.get("files") if isinstance(metadata, dict) else None)

    def read(package: _Table) -> ProjectRequirement | None:
        source = _of(package, "source", dict) or {}
        if source.get("type") in _POETRY_ELSEWHERE:
            return None
        listed = _tables(package, "files") or elsewhere.get(_project(package), [])
        markers = package.get("markers", [])
        if isinstance(markers, dict):  # by dependency group
            markers = list(markers.values())
        release = {
            key: package[key] for key in ("name", "version") if key in package
        }  # its `extras` are those that it has, none asked for
        return _locked(
            release,
            [_file(item, "file") for item in listed],
            markers if isinstance(markers, list) else [markers],
        )

    lock.packages("package", lock.tables(document, "package"), read)


def _read_pdm(lock: _Lock, document: _Table) -> None:
    metadata = document.get("metadata")
    version = metadata.get("lock_version") if isinstance(metadata, dict) else None
    if not isinstance(version, str) or version.partition(".")[0] != "4":
        raise lock.unsupported(version, "version 4", "PDM")
    elsewhere = _by_name(metadata.get("files") if isinstance(metadata, dict) else None)

    def read(package: _Table) -> ProjectRequirement | None:
        if any(package.get(kind) for kind in _PDM_ELSEWHERE):
            return None
        listed = _tables(package, "files") or elsewhere.get(
            f"{_project(package)} {package.get('version')}", []
        )
        marker = _of(package, "marker", str)
        return _locked(
            package, [_file(item, "file", "url") for item in listed], [marker] if marker else []
        )

    lock.packages("package", lock.tables(document, "package"), read)


def _read_pylock(lock: _Lock, document: _Table) -> None:
    from packaging.pylock import (
        Package,
        Pylock,
        PylockUnsupportedVersionError,
        PylockValidationError,
    )  # only who has such a file pays for it

    try:
        packages = Pylock.from_dict(document).packages
    except PylockUnsupportedVersionError:
        raise lock.unsupported(document.get("lock-version"), "version 1", "your tool") from None
    except (PylockValidationError, ValueError, RecursionError) as error:
        raise OptionFault(
            f"`{lock.written}` is no PEP 751 lock file: {_one_line(str(error))}"
        ) from None

    def read(package: Package) -> ProjectRequirement | None:
        try:
            files = [
                LockedFile(wheel.filename, _digests(wheel.hashes)) for wheel in package.wheels or ()
            ]
            if package.sdist is not None:
                files.append(LockedFile(package.sdist.filename, _digests(package.sdist.hashes)))
        except PylockValidationError as error:
            raise _Unreadable(_one_line(str(error))) from None
        if not files:
            return None
        table = {
            "name": package.name,
            "version": None if package.version is None else str(package.version),
        }
        return _locked(table, files, [] if package.marker is None else [str(package.marker)])

    lock.packages("packages", packages, read)


def _read_pipenv(lock: _Lock, document: _Table) -> None:
    meta = document.get("_meta")
    version = meta.get("pipfile-spec") if isinstance(meta, dict) else None
    if version != 6:
        raise lock.unsupported(version, "version 6", "Pipenv")
    numbers: dict[str, int] = {}
    for number, line in enumerate(lock.text.split("\n"), 1):
        match = _ENTRY.match(line)
        if match:
            numbers.setdefault(match[1], number)

    def read(entry: _Table) -> ProjectRequirement | None:
        if any(entry.get(kind) for kind in _PIPENV_ELSEWHERE):
            return None
        hashes = _of(entry, "hashes", list) or []
        marker = _pipenv_marker(entry)
        version = (_of(entry, "version", str) or "*").removeprefix("==")
        files = [LockedFile("", (_digest(digest),)) for digest in hashes]
        return _locked(
            {**entry, "version": None if version == "*" else version},
            files,
            [marker] if marker else [],
        )

    for category, entries in document.items():
        if category == "_meta":
            continue
        if not isinstance(entries, dict) or not all(
            isinstance(entry, dict) for entry in entries.values()
        ):
            raise OptionFault(
                f"`{lock.written}`: its `{_one_line(category)}` is no object of objects"
            )
        for name, entry in entries.items():
            lock.add(numbers.get(name), {**entry, "name": name}, read)


def _pipenv_marker(entry: _Table) -> str:
    """Return the marker of an entry: all of its conditions at once, empty for none."""
    conditions = [
        f"{variable} {condition.strip()}"
        for variable in _PIPENV_VARIABLES
        if (condition := _of(entry, variable, str))
    ]
    marker = _of(entry, "markers", str)
    parts = [marker, *conditions] if marker else conditions
    return " and ".join(f"({part})" for part in parts) if len(parts) > 1 else "".join(parts)


_READERS: Final[Mapping[str, Callable[[_Lock, _Table], None]]] = {
    "pylock": _read_pylock,
    "uv": _read_uv,
    "poetry": _read_poetry,
    "pdm": _read_pdm,
    "pipenv": _read_pipenv,
}


def _locked(package: _Table, files: list[LockedFile], markers: list[Any]) -> ProjectRequirement:
    """Return the requirement of one locked package.

    With files these alone decide, else the version does. `markers`: texts of which one must hold;
    none always does.
    """
    project = _project(package)
    version = _of(package, "version", str)
    extras = frozenset(
        canonicalize_name(extra)
        for extra in _of(package, "extras", list) or []
        if isinstance(extra, str)
    )
    text = project if version is None else f"{project}=={version}"
    if not all(isinstance(marker, str) for marker in markers):
        raise _Unreadable(f"`{_one_line(' or '.join(map(str, markers)))}` is no environment marker")
    try:
        release = "" if version is None else str(Version(version))
    except ValueError:
        if not files:
            raise _Unreadable(f"`{_one_line(text)}`: that is no version") from None
        release = ""
    specifiers = None if files or version is None else SpecifierSet(f"=={release}")
    return ProjectRequirement(
        project,
        _one_line(text),
        "",
        specifiers,
        _marker(tuple(markers)),
        extras,
        tuple(files),
        release=release,
    )


def _project(package: _Table) -> str:
    written = _of(package, "name", str) or ""
    name = project_name(written)
    if name is None:
        raise _Unreadable(f"`{_one_line(written)}` is no project's name")
    return name


def _file(table: _Table, *places: str) -> LockedFile:
    """Return a file, with its digest where there is one.

    It is named by the first of `places` that it has: a filename, a path or a URL.
    """
    where = ""
    for key in places:
        where = table.get(key, "")
        if where:
            break
    if not isinstance(where, str):
        raise _Unreadable("a file has a name that is no text")
    if "/" in where:
        where = _QUERY.split(where, maxsplit=1)[0].rpartition("/")[2]
    digest = table.get("hash")
    if digest is None and not where:
        raise _Unreadable("a file has neither a name nor a digest")
    return LockedFile(
        unquote(where) if "%" in where else where, () if digest is None else (_digest(digest),)
    )


def _digest(text: object) -> tuple[str, str]:
    match = _DIGEST.fullmatch(text) if isinstance(text, str) else None
    if match is None or len(match[2]) != _SIZES.get(match[1]):
        raise _Unreadable(f"`{_one_line(str(text))}` is no digest (`sha256:<hex>`)")
    return match[1], match[2].lower()


def _digests(hashes: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the digests that can be compared, sha256 first. Raises _Unreadable for none."""
    digests = [
        _digest(f"{algorithm}:{value}")
        for algorithm, value in hashes.items()
        if algorithm in _SIZES
    ]
    if not digests:
        raise _Unreadable(
            f"a file has digests of unknown kinds only: {_one_line(', '.join(hashes))}"
        )
    return tuple(sorted(digests, key=lambda digest: digest[0] != "sha256"))


@lru_cache(maxsize=1024)
def _marker(texts: tuple[str, ...]) -> Marker | None:
    """Return one marker that says: one of these holds.

    Extras and dependency groups that can be chosen count as chosen.
    """
    if not texts or not all(texts):
        return None
    try:
        plain = [_CHOICE.sub('python_version != "0"', str(read_marker(text))) for text in texts]
        return Marker(" or ".join(f"({text})" for text in plain))
    except ValueError:
        raise _Unreadable(f"`{_one_line(' or '.join(texts))}` is no environment marker") from None


def _of(table: _Table, key: str, kind: type[Any]) -> Any:
    value = table.get(key)
    if value is not None and not isinstance(value, kind):
        raise _Unreadable(
            f"`{key}` is no {kind.__name__.replace('dict', 'table').replace('str', 'text')}"
        )
    return value


def _tables(table: _Table, key: str) -> list[Any]:
    tables: list[Any] = _of(table, key, list) or []
    if not all(isinstance(table, dict) for table in tables):
        raise _Unreadable(f"`{key}` holds what is no table")
    return tables


def _by_name(files: object) -> dict[str, list[Any]]:
    """Return files of the table that older locks have, by `name` or `name version`."""
    if not isinstance(files, dict):
        return {}
    files_by_name = {}
    for key, listed in files.items():
        name, space, version = key.partition(" ")
        if isinstance(listed, list) and all(isinstance(item, dict) for item in listed):
            files_by_name[f"{project_name(name) or name}{space}{version}"] = listed
    return files_by_name


def _one_line(text: str) -> str:
    return sanitize(text, 200)
