"""Version and package type of a filename. Filenames are hostile until read."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

WHEEL: Final = "wheel"
SDIST: Final = "sdist"
DUMB: Final = "dumb"
VARIANTS: Final = "variants"  # no distribution: it lists the wheel variants of a release (PEP 825)

_EXTENSIONS: Final = {
    ".whl": WHEEL,
    ".tar.gz": SDIST,
    ".zip": SDIST,
    ".egg": "egg",
    ".tar.bz2": SDIST,
    ".tgz": SDIST,
    ".tar.xz": SDIST,
    ".tar.Z": SDIST,
    ".tar": SDIST,
    ".exe": "wininst",
    ".msi": "msi",
    ".dmg": "dmg",
    ".rpm": "rpm",
    "-variants.json": VARIANTS,
}
# A file system takes 255 bytes, and `<filename>.metadata` stands beside the file in an exported
# tree.
_LONGEST: Final = 255 - len(".metadata")
_PLATFORM = (
    r"(?:linux|macosx|osx|darwin|win32|win-(?:amd64|arm32|arm64|ia64)|cygwin|freebsd|solaris|sunos"
    r"|aix)"
)
_DUMB_TAIL = re.compile(rf"\.{_PLATFORM}(?:[-.].*)?$")
_INSTALLER_TAIL = re.compile(rf"[.-]{_PLATFORM}.*$|-py[0-9].*$")
_EGG_TAIL = re.compile(r"-py[0-9].*$")
_PROJECT_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?")
_PLAIN_VERSION = re.compile(
    r"(?:0|[1-9][0-9]*+)(?:\.(?:0|[1-9][0-9]*+))*+"
)  # its own normal form (PEP 440), as most are
# A wheel whose version is its own normal form, as nearly every file is; `_read` says the same of it
_PLAIN_WHEEL = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9_.]*+)-((?:0|[1-9][0-9]*+)(?:\.(?:0|[1-9][0-9]*+))*+)"
    r"(?:-[A-Za-z0-9_.]++){3,5}\.whl"
)
_NORMALISED = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class UnreadableFilename(ValueError):
    """Raised for a name that is not a distribution of the project; the text gives the reason."""


class Filename(NamedTuple):
    """Contents of a filename.

    `version` is canonical (PEP 440: `1.0.0-RC1` is `1.0.0rc1`). `package_type`: `wheel`, `sdist`,
    `egg`, ..., `dumb` or `variants`. Of a legacy filename `version` is the text in its place, empty
    where there is none.
    """

    version: str
    package_type: str


def project_name(text: str) -> str | None:
    """Return the normalised name (PEP 503); None for what can be no project's name.

    That is paths, URLs, control characters.
    """
    if len(text) <= 255 and _NORMALISED.fullmatch(text):
        return text
    return canonicalize_name(text) if _PROJECT_NAME.fullmatch(text) else None


def stem_and_type(filename: str) -> tuple[str, str] | None:
    """Return what stands before the extension, and the package type; None for any other file."""
    for extension, package_type in _EXTENSIONS.items():
        if filename.endswith(extension):
            return filename[: -len(extension)], package_type
    return None


def possible_projects(stem: str, package_type: str) -> list[str]:
    """Return the names that may stand before a version in a filename, the shortest first.

    In a wheel's neither holds a hyphen (PEP 427), else both may.
    """
    parts = stem.split("-")
    if package_type == WHEEL:
        return parts[:1]
    return [
        "-".join(parts[:length])
        for length in range(1, len(parts))
        if parts[length][:1].isdigit() or parts[length][:1] == "v"
    ]


class FilenameReader:
    """Reads the filenames of one project.

    Lives as long as one page: files of a release share the parsed version. `legacy`: a name of a
    known type that today's specifications cannot read is taken by its extension, as long as it is
    safe.
    """

    def __init__(self, project: str, *, legacy: bool = False) -> None:
        self._project = project
        self._legacy = legacy
        self._versions: dict[str, str | None] = {}
        self._spellings: set[str] = set()

    def read(self, filename: str) -> Filename:
        """Read a filename. Raises UnreadableFilename for what is no distribution of the project."""
        plain = _PLAIN_WHEEL.fullmatch(filename)
        if plain and len(filename) <= _LONGEST and self._spells(plain[1]):
            return Filename(plain[2], WHEEL)
        if (
            not filename.isprintable()
            or "/" in filename
            or "\\" in filename
            or filename.startswith(".")
        ):
            raise UnreadableFilename("the filename is unsafe")
        if len(filename.encode()) > _LONGEST:
            raise UnreadableFilename(f"the filename is longer than {_LONGEST} bytes")
        parts = stem_and_type(filename)
        if parts is None:
            raise UnreadableFilename("no known type of distribution")
        try:
            return self._read(*parts)
        except UnreadableFilename:
            if not self._legacy:
                raise
        return self._read_legacy(*parts)

    def _read(self, stem: str, package_type: str) -> Filename:
        rest = self._after_project(stem)
        if package_type == WHEEL and "-" in stem[: -len(rest) - 1]:
            raise UnreadableFilename(
                "a wheel's filename spells the project's name without hyphens (PEP 427)"
            )
        text, package_type = _version_text(rest, package_type)
        version = self._version(text, package_type)
        if version is None:
            raise UnreadableFilename(f"not a PEP 440 version: `{text}`")
        return Filename(version, package_type)

    def _read_legacy(self, stem: str, package_type: str) -> Filename:
        """Read the version as it is written, if there is something to call so."""
        try:
            rest = self._after_project(stem)
        except UnreadableFilename:
            return Filename("", package_type)
        if package_type == WHEEL:
            text = rest.partition("-")[0]
        else:
            text, package_type = _version_text(rest, package_type)
        return Filename(self._version(text, package_type) or text, package_type)

    def _version(self, text: str, package_type: str) -> str | None:
        version = self._canonical(text)
        if version is None and package_type != SDIST:
            version = self._canonical(
                text.replace("_", "-")
            )  # old builders escape the hyphen of `1.0-1`
        return version

    def _after_project(self, stem: str) -> str:
        """Return what follows `<project>-`. Raises UnreadableFilename.

        A name's hyphens may be written `-`, `_` or `.`, one or several of them.
        """
        length = len(self._project)
        if stem[length : length + 1] == "-" and self._spells(stem[:length]):
            return stem[length + 1 :]
        end = stem.find("-")
        while end > 0:
            if self._spells(stem[:end]):
                return stem[end + 1 :]
            end = stem.find("-", end + 1)
        raise UnreadableFilename(
            f"the filename does not begin with the project's name: `{self._project}`"
        )

    def _spells(self, text: str) -> bool:
        """Return True if the text is the project's name.

        Most files of a page spell it in one way.
        """
        if text in self._spellings:
            return True
        if canonicalize_name(text) != self._project:
            return False
        self._spellings.add(text)
        return True

    def _canonical(self, text: str) -> str | None:
        if text not in self._versions:
            self._versions[text] = text if _PLAIN_VERSION.fullmatch(text) else _canonical(text)
        return self._versions[text]


def _canonical(text: str) -> str | None:
    try:
        return str(Version(text)) if text.isascii() else None
    except InvalidVersion:
        return None


def _version_text(rest: str, package_type: str) -> tuple[str, str]:
    """Return the version as written, of what follows the project's name, and the package type.

    `bdist_dumb` shows by its platform only.
    """
    if package_type == WHEEL:
        parts = rest.split("-")
        # PEP 427 has 4 parts here, or 5 with a build number; PEP 825 may add one.
        if not 4 <= len(parts) <= 6:
            raise UnreadableFilename("a wheel's filename has 5 to 7 parts")
        return parts[0], WHEEL
    if package_type == SDIST:
        tail = _DUMB_TAIL.search(rest)
        return (rest[: tail.start()], DUMB) if tail else (rest, SDIST)
    if package_type == VARIANTS:
        return rest, VARIANTS
    if package_type == "egg":
        return _EGG_TAIL.sub("", rest), package_type
    if package_type == "rpm":
        return rest.rpartition("-")[0] or rest, package_type
    return _INSTALLER_TAIL.sub("", rest), package_type
