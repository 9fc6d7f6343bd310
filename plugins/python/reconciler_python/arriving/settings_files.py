"""Files of sections with `option = value`, as `configparser` reads them, with lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from reconciler.plugin import Description, Malformed, sanitize

LARGEST = 16 * 1024 * 1024  # bytes
_SECTION = re.compile(r"\[([^\]]+)\]\s*")
_TRUE = frozenset({"1", "yes", "true", "on"})


class Line(NamedTuple):
    """A line of a value, and where it stands."""

    text: str
    number: int


class Option(NamedTuple):
    """An option. `lines`: of its value, without comments; the first may be empty."""

    section: str
    name: str
    lines: list[Line]

    @property
    def title(self) -> str:
        """Return the option as remarks name it."""
        return f"[{self.section}] {self.name}"

    @property
    def number(self) -> int:
        return self.lines[0].number

    @property
    def text(self) -> str:
        """Return the value on one line."""
        return " ".join(line.text for line in self.lines if line.text)

    @property
    def is_true(self) -> bool:
        return self.text.lower() in _TRUE

    def entries(self) -> Iterator[Line]:
        """Yield the lines of a list: without comments behind them, and without empty ones."""
        for line in self.lines:
            text = line.text.partition("#")[0].strip()
            if text:
                yield Line(text, line.number)


class Settings:
    """Options of a file by section and name. Options that were asked for count as translated."""

    def __init__(self, description: Description, name: str = "") -> None:
        """Raise Malformed with the place of what cannot be read."""
        self._description = description
        self._name = name
        self._options: dict[str, dict[str, Option]] = {}
        self._taken: set[tuple[str, str]] = set()
        self._read(description.text(name, LARGEST))

    @property
    def sections(self) -> list[str]:
        return list(self._options)

    def place(self, number: int) -> str:
        """Return the place of a line for a remark, which is written into a manifest."""
        return f"{self._name or self._description.path.name}:{number}"

    def take(self, section: str, name: str) -> Option | None:
        """Return an option that is written and not empty, or None."""
        self._taken.add((section, name))
        option = self._options.get(section, {}).get(name)
        return option if option is not None and option.text else None

    def take_section(self, section: str) -> list[Option]:
        """Return the options of a section."""
        names = list(self._options.get(section, {}))
        return [option for name in names if (option := self.take(section, name)) is not None]

    def rest(self) -> Iterator[Option]:
        """Yield the options that nothing has asked for."""
        for section, options in self._options.items():
            for name, option in options.items():
                if (section, name) not in self._taken:
                    yield option

    def fault(self, number: int, message: str, hint: str | None = None) -> Malformed:
        """Return the error of a line."""
        return Malformed(f"{self._description.place(self._name, number)}: {message}", hint=hint)

    def _read(self, text: str) -> None:
        section, option, margin = "", None, 0
        for number, raw in enumerate(text.splitlines(), 1):
            stripped = raw.strip()
            if not stripped or stripped[0] in "#;":
                continue
            indent = len(raw) - len(raw.lstrip())
            if option is not None and indent > margin:
                option.lines.append(Line(stripped, number))
                continue
            margin, option = indent, None
            match = _SECTION.fullmatch(stripped)
            if match is not None:
                section = match[1]
                self._options.setdefault(section, {})
            else:
                option = self._option(section, stripped, number)

    def _option(self, section: str, text: str, number: int) -> Option:
        name, mark, value = text.partition("=")
        name = name.strip()
        if not section:
            raise self.fault(number, "an option stands before the first `[section]`")
        if not mark or not name:
            raise self.fault(
                number,
                f"`{sanitize(text, 80)}` is neither `[section]` nor `option = value`",
                "a further line of a list is indented",
            )
        if name in self._options[section]:
            raise self.fault(number, f"`{sanitize(name, 80)}` is written twice in `[{section}]`")
        option = Option(section, name, [Line(value.strip(), number)])
        self._options[section][name] = option
        return option
