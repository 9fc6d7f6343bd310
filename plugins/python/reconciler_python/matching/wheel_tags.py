"""Tags of wheels (PEP 425), and families of them.

A wheel's filename ends in its compressed set of tags, `<pythons>-<abis>-<platforms>`, each part any
number of tags with dots between. A word of a manifest is one tag, exactly, or a family. No such
word implies another: `cp311` does not mean `py3`, and `linux` not `any`. Versions and whole
environments, which imply what they can install, are in `interpreter_tags`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, NamedTuple

from reconciler.plugin import OptionFault

PLATFORM_FAMILIES: Final = {
    "linux": r"(?:linux|manylinux(?:1|2010|2014|_[0-9]+_[0-9]+)|musllinux_[0-9]+_[0-9]+)",
    "manylinux": r"manylinux(?:1|2010|2014|_[0-9]+_[0-9]+)",
    "musllinux": r"musllinux_[0-9]+_[0-9]+",
    "macos": r"macosx_[0-9]+_[0-9]+",
    "windows": r"win",
    "android": r"android_[0-9]+",
    "ios": r"ios_[0-9]+_[0-9]+",
}
"""Family -> what stands before the architecture in each of its tags, future ones too (PEP 513, 571,
599, 600, 656, 730, 738).
"""

# Fat binaries of macOS hold several architectures, under names of their own. `fat3` is how
# packaging spells `fat32`.
_MACOS_FORMATS: Final = {
    "arm64": ("arm64", "universal2"),
    "x86_64": ("x86_64", "universal2", "universal", "intel", "fat64", "fat3", "fat32"),
    "i386": ("i386", "universal", "intel", "fat", "fat3", "fat32"),
    "ppc64": ("ppc64", "universal", "fat64"),
    "ppc": ("ppc", "universal", "fat", "fat3", "fat32"),
}
_WINDOWS_ARCHITECTURES: Final = {
    "amd64": "win_amd64",
    "x86_64": "win_amd64",
    "arm64": "win_arm64",
    "x86": "win32",
}
# What an architecture is called elsewhere: such a tag does not exist, and a rule with it would
# never mean anything.
_ELSEWHERE: Final = {
    "linux": {"amd64": "x86_64", "arm64": "aarch64", "x86": "i686", "i386": "i686"},
    "macos": {"amd64": "x86_64", "aarch64": "arm64"},
    "windows": {"aarch64": "arm64"},
}
_WORD = re.compile(r"[a-z0-9_]+")
_FAMILY = re.compile(rf"({'|'.join(PLATFORM_FAMILIES)})(?:_([a-z][a-z0-9_]*))?")
_SINGLE_PLATFORMS: Final = frozenset({"any", "win32"})
_MEANT: Final = {
    "osx": "macos",
    "mac": "macos",
    "darwin": "macos",
    "win": "windows",
    "win64": "windows_amd64",
    "x86_64": "linux_x86_64",
    "pure": "any",
}
_UNFINISHED = re.compile(
    r"(?:many|musl)linux[0-9_]*|macosx(?:(?:_[0-9]+)*|_[a-z].*)|macos_[0-9].*|linux_[0-9]+"
)
_PYTHON = re.compile(r"[a-z]+[0-9][0-9_]*")
_MAJOR = re.compile(r"(?:py|cp|pp)[0-9]")
_LONG_NAMES = re.compile(r"(?:python|cpython|pypy)[0-9_]*")


class WheelTags(NamedTuple):
    """The three parts of a compressed tag set, in lower case, as the filename writes them."""

    pythons: str
    abis: str
    platforms: str


@lru_cache(maxsize=16)  # several keys ask about one file, one after the other
def wheel_tags(filename: str) -> WheelTags | None:
    """Return the tags that a wheel's filename ends in; None where it is too short to have any.

    `{name}-{version}[-{build}]-{pythons}-{abis}-{platforms}[-{variant}].whl`: a build number begins
    with a digit (PEP 427), tags do not.
    """
    parts = _after_version(filename)
    return WheelTags(*parts[:3]) if len(parts) >= 3 and all(parts[:3]) else None


def variant_label(filename: str) -> str | None:
    """Return the variant label of a wheel's filename (PEP 825); None where it has none."""
    parts = _after_version(filename) if filename.endswith(".whl") else []
    return parts[3] if len(parts) == 4 and all(parts) else None


def _after_version(filename: str) -> list[str]:
    """Return the parts of a wheel's filename after version and build number, in lower case."""
    parts = filename[:-4].lower().split("-")[2:]
    if len(parts) > 3 and parts[0][:1].isdigit():
        del parts[0]
    return parts


class Target:
    """The meaning of one word for one part of a tag: `accepts(tag)`."""

    def __init__(self, word: str, pattern: str) -> None:
        self.word = word
        self._matches = re.compile(pattern).fullmatch

    def accepts(self, tag: str) -> bool:
        return self._matches(tag) is not None

    def accepts_any(self, tags: str) -> bool:
        """Return True if one of the tags is meant: `py2.py3`, or `py2.py3-none` with the ABIs."""
        return any(map(self.accepts, tags.partition("-")[0].split(".")))

    def runs(self, requires_python: str) -> bool:
        """Return True if what is named can run a file with this Requires-Python; tags can."""
        return True


class Targets:
    """The words of one key. A wheel passes if one of its tags is named here."""

    def __init__(self, words: Iterable[str], parse: Callable[[str], Target]) -> None:
        self._targets = [parse(word) for word in words]
        # A few hundred sets of tags are most of what there is; upstream may invent any number of
        # them.
        self._cached = lru_cache(maxsize=4096)(self._find)

    def find(self, tags: str, requires_python: str = "") -> int | None:
        """Return the index of the word, as written, that means one of these tags; None for no word.

        `tags`: with dots between, `manylinux_2_17_x86_64.manylinux2014_x86_64`; Python tags with
        the ABI tags behind a hyphen, `cp38-abi3`.
        """
        return self._cached(tags, requires_python)

    def _find(self, tags: str, requires_python: str) -> int | None:
        return next(
            (
                index
                for index, target in enumerate(self._targets)
                if target.accepts_any(tags)
                and not (requires_python and not target.runs(requires_python))
            ),
            None,
        )


def platform_target(word: str) -> Target:
    """Parse a platform tag (`win_amd64`) or a family of them. Raises OptionFault.

    Families: `any`, `linux`, `linux_x86_64`, `manylinux`, `macos_arm64`, `windows` ...
    """
    _refuse_what_is_no_tag(
        word,
        "platform",
        "`any`, `linux_x86_64`, `macos_arm64`, `windows`, or a tag such as `manylinux_2_28_x86_64`",
    )
    family = _FAMILY.fullmatch(word)
    if family is not None and not _is_policy(word):
        return Target(word, _family_pattern(word, family[1], family[2] or ""))
    if _UNFINISHED.fullmatch(word):
        raise OptionFault(
            f"`{word}` is no platform tag", hint=f"a tag is whole, such as {_whole(word)}"
        )
    if word in _MEANT or (word not in _SINGLE_PLATFORMS and "_" not in word):
        close = (
            [_MEANT[word]]
            if word in _MEANT
            else get_close_matches(word, [*PLATFORM_FAMILIES, *_SINGLE_PLATFORMS], 1)
        )
        hint = (
            f"did you mean `{close[0]}`?"
            if close
            else "`any`, `linux`, `macos`, `windows`, with or without an architecture, or a tag"
        )
        raise OptionFault(f"`{word}` is neither a platform tag nor a family of them", hint=hint)
    return Target(word, re.escape(word))


def python_target(word: str) -> Target:
    """Parse a Python tag (`cp311`, `pp310`, `py38`). Raises OptionFault.

    `cp3`, `py3`, `pp3` mean every tag of that major version.
    """
    hint = (
        "a version in quotes (`3.11`: every wheel that it can install), or a tag: `cp311`, `cp3`"
        " (every CPython 3), `py3`, `pp310`"
    )
    _refuse_what_is_no_tag(word, "python", hint)
    if not _PYTHON.fullmatch(word) or _LONG_NAMES.fullmatch(word):
        raise OptionFault(f"`{word}` is no python tag", hint=hint)
    return Target(word, rf"{word}[0-9_]*" if _MAJOR.fullmatch(word) else re.escape(word))


def abi_target(word: str) -> Target:
    """Parse an ABI tag: `cp311`, `abi3`, `none`. Raises OptionFault."""
    hint = "`none`, `abi3`, `cp311` or `pypy310_pp73`"
    _refuse_what_is_no_tag(word, "ABI", hint)
    if word != "none" and not any(map(str.isdigit, word)):
        raise OptionFault(f"`{word}` is no ABI tag", hint=hint)
    return Target(word, re.escape(word))


def _refuse_what_is_no_tag(word: str, kind: str, hint: str) -> None:
    if not _WORD.fullmatch(word):
        lower = re.sub(r"[-. ]", "_", word.lower())
        likely = _WORD.fullmatch(lower) is not None and word[:1].isalpha()
        raise OptionFault(
            f"`{word}` is no {kind} tag", hint=f"did you mean `{lower}`?" if likely else hint
        )


def _is_policy(word: str) -> bool:
    """Return True for a family of platforms.

    `linux_x86_64` is a family; `manylinux_2_28_x86_64` and `manylinux2014_x86_64` are tags.
    """
    return bool(re.match(r"(?:many|musl)linux_?[0-9]", word))


def _family_pattern(word: str, family: str, architecture: str) -> str:
    system = "linux" if family.endswith("linux") else family
    right = _ELSEWHERE.get(system, {}).get(architecture)
    if right:
        raise OptionFault(
            f"`{word}`: tags call that architecture `{right}`", hint=f"`{family}_{right}`"
        )
    if family == "windows":
        return _windows_pattern(word, architecture)
    if not architecture:
        return rf"{PLATFORM_FAMILIES[family]}_[a-z0-9_]+"
    formats: Sequence[str] = (
        _MACOS_FORMATS.get(architecture, (architecture,)) if family == "macos" else (architecture,)
    )
    return rf"{PLATFORM_FAMILIES[family]}_(?:{'|'.join(formats)})"


def _windows_pattern(word: str, architecture: str) -> str:
    if not architecture:
        return r"win(?:32|_[a-z0-9_]+)"
    tag = _WINDOWS_ARCHITECTURES.get(architecture)
    if tag is None:
        raise OptionFault(
            f"`{word}`: `{architecture}` is no architecture of Windows",
            hint="`windows_amd64`, `windows_arm64` or `windows_x86`",
        )
    return re.escape(tag)


def _whole(word: str) -> str:
    """Return an example of a complete tag for a piece of one."""
    if word.startswith("mac"):
        return "`macosx_11_0_arm64`; `macos_arm64` is every one of an architecture"
    kind = word[:9] if word.startswith("m") else "linux"
    number = "" if kind == "linux" else "_2_28" if kind == "manylinux" else "_1_2"
    return f"`{kind}{number}_x86_64`; `{kind}_x86_64` is every one of an architecture"
