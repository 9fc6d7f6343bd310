"""Wheels that a CPython of some version can install, by their tags (PEP 425), as pip decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from packaging.tags import (
    Tag,
    android_platforms,
    compatible_tags,
    cpython_tags,
    ios_platforms,
    mac_platforms,
)

from reconciler.plugin import OptionFault
from reconciler_python.matching.python_versions import Interpreters
from reconciler_python.matching.wheel_tags import Target, WheelTags, platform_target

_VERSION = re.compile(r"([23])\.([0-9]{1,2})(t?)")
_HERE: Final = "here"  # a platform in the place of any
_APPLE = re.compile(r"(?:macosx|ios)_([0-9]+)_([0-9]+)_(.+)")
_ANDROID = re.compile(r"android_([0-9]+)_(.+)")
_LIBC = re.compile(r"(manylinux|musllinux)_([0-9]+)_([0-9]+)_(.+)")
_POLICY = re.compile(r"(manylinux1|manylinux2010|manylinux2014)_(.+)")
_MINORS: Final = {"manylinux1": 5, "manylinux2010": 12, "manylinux2014": 17}  # of glibc 2
_OLDEST_MINOR: Final = 5  # of glibc 2 that a tag names (PEP 600)
_NO_VERSION = re.compile(r"_[0-9]{4,}")  # each older version of a system is a tag of its own


class Interpreter(NamedTuple):
    """A CPython: `major.minor`, with the global interpreter lock or free-threaded."""

    major: int
    minor: int
    free_threaded: bool = False

    @property
    def version(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def tag(self) -> str:
        return f"cp{self.major}{self.minor}"

    def abis(self) -> list[str]:
        """Return its own ABI tags; before 3.8 they say how it was built."""
        if self.free_threaded:
            return [f"{self.tag}t"]
        if self.major == 2:
            return [f"{self.tag}mu", f"{self.tag}m"]
        return [f"{self.tag}m"] if self.minor < 8 else [self.tag]


def is_version(word: str) -> bool:
    """Return True for a word that is meant as a version, such as `3.11`."""
    return word[:1].isdigit()


def interpreter(word: str) -> Interpreter:
    """Parse `3.11` or `3.14t` (free-threaded). Raises OptionFault."""
    match = _VERSION.fullmatch(word)
    if match is None:
        shorter = re.match(r"[23]\.[0-9]{1,2}(?=[.])", word)
        hint = (
            f"`{shorter[0]}`: tags know no more of it"
            if shorter
            else "two numbers, in quotes: `3.11`, `3.14t` (free-threaded)"
        )
        raise OptionFault(f"`{word}` is no version of CPython", hint=hint)
    return Interpreter(int(match[1]), int(match[2]), bool(match[3]))


class InstallableTags(NamedTuple):
    """(python tag, ABI tag) of wheels for the interpreter's platform, and of those for any."""

    built: frozenset[tuple[str, str]]
    pure: frozenset[tuple[str, str]]


@lru_cache(maxsize=64)
def installable_tags(wanted: Interpreter) -> InstallableTags:
    """Return what a CPython can install, as pip and uv decide it."""
    tags = set(_tags(wanted))
    return InstallableTags(
        frozenset((tag.interpreter, tag.abi) for tag in tags if tag.platform == _HERE),
        frozenset((tag.interpreter, tag.abi) for tag in tags if tag.platform == "any"),
    )


def _tags(wanted: Interpreter) -> Iterator[Tag]:
    version = (wanted.major, wanted.minor)
    yield from cpython_tags(version, abis=wanted.abis(), platforms=[_HERE])
    yield from compatible_tags(version, interpreter=wanted.tag, platforms=[_HERE])


class InterpreterTarget(Target):
    """A version among the words of `pythons`: every wheel that this CPython can install.

    Platforms are another key's to say.
    """

    def __init__(self, word: str) -> None:
        super().__init__(word, re.escape(word))
        wanted = interpreter(word)
        tags = installable_tags(wanted)
        self._pairs = tags.built | tags.pure
        self._versions = Interpreters([wanted.version])

    def runs(self, requires_python: str) -> bool:
        return self._versions.find(requires_python) is not None

    def accepts_any(self, tags: str) -> bool:
        pythons, _, abis = tags.partition("-")
        return any(
            (python, abi) in self._pairs for python in pythons.split(".") for abi in abis.split(".")
        )


class Environment:
    """A whole environment: a CPython on a platform."""

    def __init__(self, python: str, platform: str) -> None:
        wanted = interpreter(python)
        self._text = f"{python} on {platform}"
        self._versions = Interpreters([wanted.version])
        self._tags = installable_tags(wanted)
        self._on_platform = platform_matcher(platform)

    def __str__(self) -> str:
        return self._text

    def runs(self, requires_python: str) -> bool:
        """Return True if its Python can run a file with this Requires-Python."""
        return self._versions.find(requires_python) is not None

    def accepts(self, tags: WheelTags) -> bool:
        """Return True if a wheel with these tags can be installed there."""
        pairs = {
            (python, abi) for python in tags.pythons.split(".") for abi in tags.abis.split(".")
        }
        platforms = tags.platforms.split(".")
        return ("any" in platforms and not pairs.isdisjoint(self._tags.pure)) or (
            any(map(self._on_platform, platforms)) and not pairs.isdisjoint(self._tags.built)
        )


def platform_matcher(word: str) -> Callable[[str], bool]:
    """Return whether a platform tag is usable on a platform. Raises OptionFault.

    A family takes every tag of it; a tag stands for a machine that has just that version of libc
    or of the system, which can use all older ones.
    """
    target = platform_target(word)
    if word == "any":
        raise OptionFault(
            "`any` is no platform to install on", hint="`linux_x86_64`, `macos_arm64`, `windows`"
        )
    if _NO_VERSION.search(word):
        raise OptionFault(
            f"`{word}` names no version of a system", hint="such as `macosx_14_0_arm64`"
        )
    if apple := _APPLE.fullmatch(word):
        of_system = mac_platforms if word.startswith("macosx") else ios_platforms
        version = (int(apple[1]), int(apple[2]))
        return frozenset(of_system(version, apple[3])).__contains__
    if android := _ANDROID.fullmatch(word):
        return frozenset(android_platforms(int(android[1]), android[2])).__contains__
    older = _linux_platforms(word)
    return older.__contains__ if older else target.accepts


def _linux_platforms(word: str) -> frozenset[str]:
    """Return the tags that a machine can use which is named by the newest; none for other words."""
    if policy := _POLICY.fullmatch(word):
        return _linux_platforms(f"manylinux_2_{_MINORS[policy[1]]}_{policy[2]}")
    libc = _LIBC.fullmatch(word)
    if libc is None:
        return frozenset()
    kind, major, minor, architecture = libc[1], int(libc[2]), int(libc[3]), libc[4]
    glibc = kind == "manylinux" and major == 2
    minors = range(_OLDEST_MINOR if glibc else 0, minor + 1)
    names = [f"{kind}_{major}_{older}" for older in minors] + ["linux"]
    names += [name for name, newest in _MINORS.items() if glibc and newest <= minor]
    return frozenset(f"{name}_{architecture}" for name in names)
