"""Addresses behind the name of an index: a well-known one, or a section of `.pypirc`.

The addresses of the public index stand in libraries alone: where it takes files in `twine`, where
it lists them in `pypi_simple`.
"""

from __future__ import annotations

from configparser import Error, RawConfigParser
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from reconciler.plugin import IndexLocation, OptionFault, sanitize
from reconciler_python.constants import constant

WELL_KNOWN: Final = "pypi"
_UPLOADS: Final = "/legacy"
_PAGES: Final = "/simple/"
_LIBRARY_HINT: Final = (
    "`pip install 'reconciler[push]'` brings the library that knows where the public index takes"
    " files"
)


class Section(NamedTuple):
    """A section of `.pypirc`. Empty texts where it does not say."""

    repository: str = ""
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Section({self.repository!r}, ...)"


def locate(name: str, url: str, simple: str) -> IndexLocation:
    """Return the addresses of an index. Raises OptionFault for a name that leads nowhere."""
    if url:
        return IndexLocation(url, simple or pages_of(url), _shown(url))
    section = section_of(name)
    if name == WELL_KNOWN and not section.repository:
        pages = simple or constant("pypi_simple", "PYPI_SIMPLE_ENDPOINT")
        return IndexLocation(_well_known_upload(), pages, name)
    if not section.repository:
        raise OptionFault(
            f"`{sanitize(name, 80)}` names no index",
            hint=f"`{WELL_KNOWN}`, or a section of `{configuration()}` that has a `repository`",
        )
    return IndexLocation(section.repository, simple or pages_of(section.repository), name)


def pages_of(upload: str) -> str:
    """Return where an index with this address for uploads lists its files, by custom.

    Raises OptionFault where no custom says it.
    """
    parts = urlsplit(upload)
    path = parts.path.rstrip("/")
    if not path.endswith(_UPLOADS):
        raise OptionFault(
            f"`{_shown(upload)}` does not tell where the index lists its files",
            hint="`simple` names that address: `simple: https://index.example.org/simple/`",
        )
    return parts._replace(path=path.removesuffix(_UPLOADS) + _PAGES).geturl()


def section_of(name: str) -> Section:
    """Return a section of the user's `.pypirc`; an empty one where there is none."""
    parser = RawConfigParser()
    try:
        with configuration().open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError:
        return Section()
    except (Error, ValueError):  # says what stands there, which may be a password
        raise OptionFault(
            f"`{configuration()}` cannot be read: it is no file of sections and keys"
        ) from None
    if not parser.has_section(name):
        return Section()
    return Section(*(parser.get(name, key, fallback="").strip() for key in Section._fields))


def configuration() -> Path:
    """Return the path of the user's `.pypirc`; one where nothing is for a user without a home."""
    try:
        return Path("~/.pypirc").expanduser()
    except RuntimeError:  # of a container whose user is a number
        return Path("/.pypirc")


def _well_known_upload() -> str:
    try:
        return constant("twine.utils", "DEFAULT_REPOSITORY")
    except (ImportError, AttributeError):
        raise OptionFault(
            f"where `{WELL_KNOWN}` takes files is not known here", hint=_LIBRARY_HINT
        ) from None


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return sanitize(f"{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/"), 200)
