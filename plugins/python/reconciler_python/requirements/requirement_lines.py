"""The text of a requirements file, as pip reads it.

That covers encodings, continuations, comments, variables and options. A line keeps two texts: the
written one, which may be shown, and the one with `${VARIABLES}` substituted, whose values may be
secret.
"""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Final, NamedTuple

from reconciler.plugin import OptionFault
from reconciler_python.reading.bounded_requirements import LONGEST

_MARKS: Final = (  # the marks of UTF-32 begin with those of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"coding[:=]\s{0,80}([-\w.]{1,80})")
# Text encodings that are not used for files: decoding them warns, or takes quadratic time.
_ODD: Final = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined"})
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_HINT: Final = "look at the values of its variables: each must be one word"

# Options by their long names: does a value follow?
_OPTIONS: Final = {
    "--requirement": True,
    "--constraint": True,
    "--editable": True,
    "--hash": True,
    "--no-binary": True,
    "--only-binary": True,
    "--pre": False,
    "--all-releases": True,
    "--only-final": True,
    "--require-hashes": False,
    "--no-require-hashes": False,
    "--index-url": True,
    "--pypi-url": True,
    "--extra-index-url": True,
    "--no-index": False,
    "--find-links": True,
    "--trusted-host": True,
    "--prefer-binary": False,
    "--use-feature": True,
    "--config-settings": True,
    "--global-option": True,
    "--build-option": True,
    "--install-option": True,
}
_SHORT: Final = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
    "-C": "--config-settings",
}


class Line(NamedTuple):
    """A logical line: the `number` of its first physical one, its requirement and its options.

    The requirement as `written`, and as meant (`text`). Options are (long name, value); `whole`:
    all of the line as it is written; `shown`: the values of the options as they are written.
    """

    number: int
    whole: str
    written: str
    text: str
    options: list[tuple[str, str]]
    shown: list[str]


def decode_file(body: bytes) -> str:
    """Decode by the byte order mark, else as its first lines declare (PEP 263), else as UTF-8.

    Raises OptionFault.
    """
    encoding, start = "utf-8", 0
    for mark, name in _MARKS:
        if body.startswith(mark):
            encoding, start = name, len(mark)
            break
    else:
        declared = [
            _DECLARED.search(line) for line in body[:4096].split(b"\n")[:2] if line.startswith(b"#")
        ]
        encoding = next(
            (match[1].decode("ascii", "replace") for match in declared if match is not None),
            encoding,
        )
    try:
        if codecs.lookup(encoding).name.replace("_", "-") in _ODD:
            raise LookupError
        return str(body[start:], encoding)
    except LookupError:
        raise OptionFault(
            f"its first lines declare the encoding `{encoding}`, which is none of a text",
            hint="save it as UTF-8",
        ) from None
    except ValueError:
        raise OptionFault(
            f"its bytes are no {encoding.upper()}",
            hint="save it as UTF-8, or begin it with `# -*- coding: latin-1 -*-`",
        ) from None


def logical_lines(
    text: str, variable: Callable[[str], str | None], fault: Callable[[int, OptionFault], None]
) -> Iterator[Line]:
    """Yield the logical lines that say anything.

    `variable` returns the value of one, or None. What cannot be read is a `fault` in a line.
    """
    for number, joined in _joined(text):
        written = _uncommented(joined).strip()
        if not written:
            continue
        meant = _VARIABLE.sub(lambda match: variable(match[1]) or match[0], written)
        try:
            yield _line(number, written, meant)
        except OptionFault as error:
            fault(number, error)


def unset_variable(text: str) -> str | None:
    """Return a variable without a value that still stands in the text as `${NAME}`."""
    match = _VARIABLE.search(text)
    return match[1] if match else None


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines, those that end in a backslash joined to the next, comments excepted."""
    first, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        comment = line.lstrip().startswith("#")
        first = first if parts else number
        if line.endswith("\\") and not comment:
            parts.append(line.rstrip("\\"))
            continue
        yield first, "".join([*parts, f" {line}" if comment else line])
        parts = []
    if parts:
        yield first, "".join(parts)


def _uncommented(line: str) -> str:
    """Return a line without its comment.

    A comment begins with a `#` at the start or after white space: the one within a URL is none.
    """
    at = line.find("#")
    while at > 0 and not line[at - 1].isspace():
        at = line.find("#", at + 1)
    return line if at < 0 else line[:at]


def _line(number: int, written: str, meant: str) -> Line:
    text, rest = _parted(meant)
    if len(text) > LONGEST:
        raise OptionFault(f"a requirement of {len(text):,} characters", hint=f"at most {LONGEST:,}")
    if written == meant:
        options = _options(rest) if rest else []
        return Line(
            number, written, _parted(written)[0], text, options, [value for _, value in options]
        )
    options, shown = _substituted(written, rest)
    return Line(number, written, _parted(written)[0], text, options, shown)


def _substituted(written: str, rest: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the options of a line with variables, and their values as they are written.

    Faults do not show the values of variables.
    """
    try:
        options = _options(rest) if rest else []
    except OptionFault:
        raise OptionFault(
            "its options cannot be read",
            hint=_HINT,
        ) from None
    try:
        plain = _options(_parted(written)[1])
    except OptionFault:
        plain = []
    alike = [name for name, _ in plain] == [name for name, _ in options]
    return options, [value for _, value in plain] if alike else ["..."] * len(options)


def _parted(line: str) -> tuple[str, str]:
    """Split a line before the first word that begins with `-`: the options."""
    if line.startswith("-"):
        return "", line
    at = line.find(" -")
    return (line, "") if at < 0 else (line[:at].rstrip(), line[at + 1 :])


def _options(text: str) -> list[tuple[str, str]]:
    options = []
    words = iter(_words(text))
    for word in words:
        name, value = _named(word)
        if not _OPTIONS[name]:
            if value is not None:
                raise OptionFault(f"`{name}` takes no value")
        elif value is None:
            value = next(words, None)
            if value is None:
                raise OptionFault(f"`{name}` lacks its value")
        options.append((name, value or ""))
    return options


def _words(text: str) -> list[str]:
    if not any(
        mark in text for mark in "\"'\\"
    ):  # the shell's own rules are slow to follow, and rarely asked for
        return text.split()
    try:
        return shlex.split(text)
    except ValueError:
        raise OptionFault("its options end within quotes", hint="close the quotes") from None


def _named(word: str) -> tuple[str, str | None]:
    """Return the long name of an option, and the value that stands in the same word.

    A beginning that is no other option's is enough, as for pip.
    """
    if not word.startswith("--"):
        name = _SHORT.get(word[:2])
        if name is not None:
            return name, word[2:] or None
    else:
        short, equals, value = word.partition("=")
        names = (
            [short]
            if short in _OPTIONS
            else [name for name in _OPTIONS if name.startswith(short) and len(short) > 2]
        )
        if len(names) == 1:
            return names[0], value if equals else None
    close = get_close_matches(word.partition("=")[0], _OPTIONS, n=1)
    raise OptionFault(
        "a word that begins with `-` and is no option of requirements files",
        hint=f"did you mean `{close[0]}`?" if close else "leave it out",
    )
