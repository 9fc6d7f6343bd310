"""The only place that prints. Results go to stdout, everything about the run to stderr."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial
from itertools import chain
from typing import Annotated, Any, TextIO

import typer

from reconciler.errors import ManifestFaults, UsageFault

COLOURS: Mapping[str, str] = {
    "+": "32",
    "-": "31",
    "~": "33",
    "!": "35",
    "?": "36",
    "error": "31",
    "guard": "31",
}


_INDENTED_SIGN = re.compile(r"^( +)([-+!~]) ")
SHARED_HINTS = 3  # faults with the same hint, which is printed once
BROKEN_PIPE = 141  # what a shell reports of a process whose reader left
OUTPUT_HINT = "what the command did is recorded; only its output is lost"


class Layout(StrEnum):
    """The output formats of every command. TABLE: for people; commands without a table print text.

    GITHUB: the same, with errors and warnings as workflow annotations.
    """

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"
    GITHUB = "github"


ANNOTATIONS: Mapping[str, str] = {"error:": "error", "guard:": "error", "warning:": "warning"}


def parse_layout(text: str) -> Layout:
    """Parse the value of `-o`; `text` is the earlier name of `table`. Raises UsageFault."""
    try:
        return Layout.TABLE if text == "text" else Layout(text)
    except ValueError:
        raise UsageFault(
            f"`{text}` is no output format", hint=f"one of `{'`, `'.join(Layout)}`"
        ) from None


OUTPUT_FLAG = typer.Option(
    "--output",
    "-o",
    "--format",
    parser=parse_layout,
    metavar="|".join(Layout),
    help="How to print.",
)
LayoutOption = Annotated[Layout, OUTPUT_FLAG]


class Written:
    """Tells whether what a command printed has arrived.

    A reader that leaves (`| head`) or a full disk ends no command: what it does is worth more than
    what it says. `failure`: the first error of stdout; nothing is printed after it.
    """

    def __init__(self) -> None:
        self.failure: OSError | None = None

    def exit_code(self, code: int) -> int:
        """Flush what was printed; return the exit code, and say what went wrong with the output."""
        _attempt(sys.stdout.flush)
        failure = self.failure
        if failure is None:
            return code
        _discard(sys.stdout)
        if failure.errno == errno.EPIPE:  # as every program in a pipe ends: without a word
            return code or BROKEN_PIPE
        error(f"the output cannot be written: {failure.strerror}", OUTPUT_HINT)
        return code or 1


_written = Written()


@contextmanager
def streams() -> Iterator[Written]:
    """Watch the output for the length of a command."""
    global _written
    before, _written = _written, Written()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who called: `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # stays open
    try:
        yield _written
    finally:
        _written = before


def has_failed() -> bool:
    """Return True if stdout cannot be written, also where something else than us tried to."""
    _attempt(sys.stdout.flush)
    return _written.failure is not None


def _attempt(write: Callable[[], object]) -> None:
    """Write to stdout, unless that has failed before."""
    if _written.failure is None:
        try:
            write()
        except OSError as error:
            _written.failure = error


def _discard(stream: TextIO) -> None:
    """Have what is left in a stream's buffer go nowhere: Python would complain at its exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def line(text: str = "") -> None:
    """Print one line of a result."""
    _attempt(lambda: print(text, file=sys.stdout))


def lines(texts: Iterable[str]) -> None:
    """Print lines of a result, on a terminal coloured by their sign."""
    colour = _coloured(sys.stdout)
    for text in texts:
        line(_painted(text) if colour else text)


def answer(layout: Layout, value: Any, texts: Callable[[], Iterable[str]]) -> None:
    """Print a result as a document, or as lines: `value` or what `texts` returns."""
    if layout is Layout.JSON:
        document(value)
    elif layout is Layout.YAML:
        yaml_document(value)
    else:
        text(layout, texts())


def tabular(
    layout: Layout, value: Any, header: Sequence[str], *, rows: Sequence[Sequence[str]]
) -> None:
    """Print a result as a document or as a table."""
    if layout is Layout.MARKDOWN:
        line(_markdown_row([name.upper() for name in header]))
        line(_markdown_row(["---"] * len(header)))
        for row in rows:
            line(_markdown_row(row))
    else:
        answer(layout, value, lambda: table_lines(header, rows))


def text(layout: Layout, texts: Iterable[str]) -> None:
    """Print lines for people: as they are, as a block of Markdown, or with annotations."""
    if layout is Layout.MARKDOWN:
        fenced = [_diffed(each).replace("```", "\u200b```") for each in texts]
        lines(["```diff", *fenced, "```"])
    elif layout is Layout.GITHUB:
        lines(map(_annotated, texts))
    else:
        lines(texts)


def _diffed(text: str) -> str:
    """Return a line with its sign first, which is where viewers of diffs look for it."""
    return _INDENTED_SIGN.sub(r"\2\1 ", text)


def _annotated(text: str) -> str:
    """Return a line that reports an error or a warning as a workflow command."""
    word, _, rest = text.strip().partition(" ")
    if word not in ANNOTATIONS:
        return text
    return f"::{ANNOTATIONS[word]}::{rest.replace('%', '%25')}"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def note(text: str) -> None:
    """Print a line about the run to stderr."""
    with suppress(OSError):  # there is no other place to say it
        print(text, file=sys.stderr, flush=True)


def error(message: str, hint: str | None) -> None:
    _remark("error", message, hint)


def warning(message: str, hint: str | None) -> None:
    _remark("warning", message, hint)


def blocked(what: str) -> None:
    """Name the plugin that does not return, and end the process.

    Nothing that was committed is lost.
    """
    error(what, "the run ends here, what was committed stays; tell the plugin's authors")
    os._exit(1)


def faults(error: ManifestFaults, *, did_nothing: bool = True) -> None:
    """Print all faults with their places, and their number.

    A hint that many of them share is printed with the first. `did_nothing`: say so.
    """
    from collections import Counter

    from reconciler.model import pluralize

    shared = Counter(fault.hint for fault in error.faults)
    told: set[str] = set()
    for fault in error.faults:
        note(f"{fault.origin}: {fault.message}")
        times = shared[fault.hint]
        if fault.hint and (fault.hint not in told or times < SHARED_HINTS):
            more = f" (the same for {times} faults)" if times >= SHARED_HINTS else ""
            told.add(fault.hint)
            note(f"  hint: {fault.hint}{more}")
    end = "; nothing was done" if did_nothing else ""
    note(f"{pluralize(len(error.faults), 'fault')}{end}")


def document(value: Any) -> None:
    """Print one JSON document."""
    line(json.dumps(value, ensure_ascii=False, indent=2))


def yaml_document(value: Any) -> None:
    """Print one YAML document; keys keep their order."""
    line(yaml_text(value))


def yaml_text(value: Any) -> str:
    """Return a value as YAML; keys keep their order."""
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000).rstrip()


def pieces(parts: Iterable[bytes]) -> None:
    """Print a document that comes in pieces."""
    _attempt(sys.stdout.flush)
    for part in chain(parts, [b"\n"]):
        _attempt(partial(sys.stdout.buffer.write, part))
    _attempt(sys.stdout.buffer.flush)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table as kubectl prints it: upper-case headings, two spaces between columns."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (tuple(name.upper() for name in header), *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _remark(kind: str, message: str, hint: str | None) -> None:
    note(f"{kind}: {message}")
    if hint:
        note(f"  hint: {hint}")


def _coloured(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ


def _painted(text: str) -> str:
    parts = text.split(maxsplit=1)
    colour = COLOURS.get(parts[0].rstrip(":")) if parts else None
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text
