"""YAML documents: plain values, and the place of each value on demand.

The C parser composes a tree of nodes with marks; values are built from it in one pass. Places are
looked up in the tree. The tree is dropped once the document is checked; a later look-up parses the
file again.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import yaml

from reconciler.errors import Fault, Origin, StateFault
from reconciler.manifest.scalars import scalar, shown
from reconciler.reach import Reach

# Without the C parser this module still loads, so that `documents` can say what is missing.
_Base: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

MAX_DEPTH = 100
MAX_VALUES = 1_000_000  # of a file, counted after aliases are expanded

Path: TypeAlias = tuple[str | int, ...]
Node: TypeAlias = yaml.ScalarNode | yaml.SequenceNode | yaml.MappingNode

# Tags that `_Composer.resolve` gives instead of a look-up by regular expressions.
_PLAIN, _OTHER = "plain", "other"
_CORE = "tag:yaml.org,2002:"
_ALLOWED = {
    yaml.ScalarNode: f"{_CORE}str",
    yaml.SequenceNode: f"{_CORE}seq",
    yaml.MappingNode: f"{_CORE}map",
}

_TABS = "indent with spaces, not tabs; quote a text that begins with `@`, `%` or a backtick"
_CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7}|={7}$)(?: |$)", re.MULTILINE)
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff"
)


class Unreadable(Exception):
    """Raised where the rest of a file cannot be read; holds the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(slots=True)
class ManifestText:
    """Text of one manifest file.

    `name`: as the user gave it. `folder`: absolute; relative paths in the file start from it.
    `reach`: what the file may name; None for what an apply recorded, which was judged then.
    """

    name: str
    folder: str
    text: str
    reach: Reach | None = None
    _roots: list[Node] = field(default_factory=list)

    def root(self, index: int) -> Node:
        """Return the node tree of the document with that number; parse the file once if needed."""
        if not self._roots:
            self._roots = list(_composed(self))
        return self._roots[index]


@dataclass(slots=True)
class Document:
    """One YAML document of a file.

    `value`: plain data; integers, floats, booleans and null by the core schema of YAML 1.2.
    `floats_as_text`: True for recorded documents, which hold fractions as texts.
    """

    floats_as_text: ClassVar[bool] = False

    source: ManifestText
    index: int
    value: Any
    _root: Node | None

    def place(self, path: Path = (), *, key: bool = False) -> Origin:
        """Return where the value at `path` begins (with `key`: its key), or the nearest parent."""
        root = self._root if self._root is not None else self.source.root(self.index)
        mark = _mark(root, path, key)
        return Origin(self.source.name, mark.line + 1, mark.column + 1)

    @property
    def context(self) -> dict[str, Any]:
        """Validation context for option types: the folder, what may be read, whether recorded."""
        return {
            "folder": self.source.folder,
            "recorded": self.floats_as_text,
            "reach": self.source.reach,
        }

    def find(self, path: Path) -> Origin | None:
        """Return where the key or item at `path` stands, or None.

        May parse the file again.
        """
        root = self._root if self._root is not None else self.source.root(self.index)
        mark = _exactly(root, path)
        return None if mark is None else Origin(self.source.name, mark.line + 1, mark.column + 1)

    def bare(self) -> Document:
        """Return a copy without value and tree, which can still find places."""
        return type(self)(self.source, self.index, None, None)

    def drop(self) -> None:
        """Forget the tree, which takes about thirty times the memory of the text."""
        self._root = None


class Unplaced(Document):
    """Document that stands in no file: its places name the source only."""

    def place(self, path: Path = (), *, key: bool = False) -> Origin:
        return Origin(self.source.name, 1)

    def find(self, path: Path) -> Origin | None:
        return None


def documents(source: ManifestText, faults: list[Fault]) -> Iterator[Document]:
    """Yield the documents of a file that are not empty.

    Adds to `faults` what is wrong in each document. Raises Unreadable where parsing fails.
    """
    if not yaml.__with_libyaml__:
        raise StateFault(
            "PyYAML was installed without its C parser",
            hint="install a wheel of PyYAML, or build it with libyaml present",
        )
    builder = _Builder(source.name, faults)
    for index, root in enumerate(_composed(source)):
        value = builder.value(root, 0)
        if value is not None:
            yield Document(source, index, value, root)


class _Composer(_Base):  # type: ignore[misc]
    """C parser without tag resolution.

    The parser calls these three methods for every value, so two of them are built-ins that do
    nothing.
    """

    descend_resolver: Any = operator.is_  # takes two arguments
    ascend_resolver: Any = int  # takes none

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else _OTHER


class _GuardedComposer(_Composer):
    """Parser that refuses too deep or too large trees before they exhaust stack or memory."""

    def __init__(self, source: ManifestText) -> None:
        super().__init__(source.text)
        self._file = source.name
        self._depth = 0
        self._values = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        self._depth += 1
        self._values += 1
        if self._depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise _too_much(self._file, current_node, deep=self._depth > MAX_DEPTH)

    def ascend_resolver(self) -> None:
        self._depth -= 1


class _Builder:
    """Build plain values from the trees of one file.

    Values stay texts unless YAML 1.2 reads them as a number, a boolean or null.
    """

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self._file = file
        self._faults = faults
        self._values = 0

    def value(self, node: Node, depth: int) -> Any:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise _too_much(self._file, node, deep=depth > MAX_DEPTH)
        tag = node.tag
        if tag is not _PLAIN and tag is not _OTHER and tag != _ALLOWED[node.__class__]:
            self._add(
                node,
                "tags are not allowed here",
                "write the value without the word that begins with `!`",
            )
            return None
        if node.__class__ is yaml.ScalarNode:
            return scalar(node.value) if tag is _PLAIN else node.value
        if node.__class__ is yaml.MappingNode:
            return self._mapping(node, depth + 1)
        return [self.value(item, depth + 1) for item in node.value]

    def _mapping(self, node: Node, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value
            if key.tag is _PLAIN:
                if name == "<<":
                    merged |= self._merged(value, depth)
                    continue
                name = scalar(name)
            if name.__class__ is not str:
                self._add(key, "a key must be a text", "put the key in quotes")
            elif name in result:
                first = next(other for other, _ in node.value if other.value == name)
                self._add(
                    key,
                    f"the key `{shown(name)}` is written twice",
                    f"first at line {first.start_mark.line + 1}: keep one of them",
                )
            elif value.tag is _PLAIN:  # most values: spares a call
                self._values += 1
                result[name] = scalar(value.value)
            else:
                result[name] = self.value(value, depth)
        return {**merged, **result} if merged else result

    def _merged(self, node: Node, depth: int) -> dict[str, Any]:
        """Return the keys that `<<: *base` or `<<: [*a, *b]` merges in.

        Earlier mappings of a list win over later ones; the mapping's own keys win over both.
        """
        result: dict[str, Any] = {}
        for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(item, yaml.MappingNode):
                result = {**self.value(item, depth), **result}
            else:
                self._add(
                    item,
                    "`<<` merges mappings only",
                    "point it at an anchor of a mapping: `<<: *name`",
                )
        return result

    def _add(self, node: Node, message: str, hint: str) -> None:
        self._faults.append(Fault(_origin(self._file, node.start_mark), message, hint))


def _composed(source: ManifestText) -> Iterator[Node]:
    """Yield the node trees of a file in order. Raises Unreadable."""
    loader = None
    try:
        loader = _Composer(source.text) if _shallow(source.text) else _GuardedComposer(source)
        while loader.check_node():
            yield loader.get_node()
    except yaml.reader.ReaderError:
        raise Unreadable(_unprintable(source)) from None
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_syntax(source, error)) from None
    finally:
        if loader is not None:
            loader.dispose()


def _shallow(text: str) -> bool:
    """Return True if the tree of this text cannot exceed the limits.

    Every level takes one of five characters, every value at least half a character.
    """
    return len(text) * 2 < MAX_VALUES and sum(map(text.count, ":-[{?")) < MAX_DEPTH


def _syntax(source: ManifestText, error: yaml.MarkedYAMLError) -> Fault:
    conflict = _CONFLICT.search(source.text)
    if conflict is not None:
        line = source.text.count("\n", 0, conflict.start()) + 1
        return Fault(
            Origin(source.name, line),
            "a conflict marker: a merge was not finished",
            "keep one of the two sides, and remove the lines with `<<<<<<<`, `=======`, `>>>>>>>`",
        )
    mark = error.problem_mark or error.context_mark
    origin = _origin(source.name, mark) if mark is not None else Origin(source.name, 1)
    problem = error.problem or "it cannot be parsed"
    return Fault(
        origin,
        f"not valid YAML: {error.context + ': ' if error.context else ''}{problem}",
        _TABS if _begins_with_tab(source.text, origin.line) else _syntax_hint(error, problem),
    )


def _begins_with_tab(text: str, number: int) -> bool:
    line = "".join(text.split("\n", number)[number - 1 : number])
    return "\t" in line[: len(line) - len(line.lstrip())]


def _syntax_hint(error: yaml.MarkedYAMLError, problem: str) -> str | None:
    said = f"{error.context or ''} {problem}"
    if "cannot start any token" in said:
        return _TABS
    if "alias" in said:
        return 'quote a text that begins with `*`: `"*"`, `"*-nightly"`'
    if "mapping values are not allowed" in said:
        return "quote a text that holds `: `; or check the indentation of this line"
    start = error.context_mark
    if "did not find expected key" in said and start is not None:
        return (
            f"check the indentation: what this line belongs to begins at line {start.line + 1},"
            f" column {start.column + 1}"
        )
    if "did not find expected '-' indicator" in said and start is not None:
        return f"check the indentation: the list begins in column {start.column + 1}"
    if "could not find expected ':'" in said:
        return "a key lacks its `:`, or a text of several lines lacks its quotes"
    return None


def _unprintable(source: ManifestText) -> Fault:
    """Return the fault for a control character, with its line.

    libyaml only gives an offset in bytes of its own buffer.
    """
    match = _UNPRINTABLE.search(source.text)
    offset = match.start() if match else 0
    origin = Origin(
        source.name,
        source.text.count("\n", 0, offset) + 1,
        offset - source.text.rfind("\n", 0, offset),
    )
    code = f" (U+{ord(source.text[offset]):04X})" if match else ""
    return Fault(
        origin, f"not a text file: it holds a control character{code}", "is this really a manifest?"
    )


def _too_much(file: str, node: Any, *, deep: bool) -> Unreadable:
    origin = _origin(file, node.start_mark) if node is not None else Origin(file, 1)
    if deep:
        return Unreadable(
            Fault(
                origin,
                f"nested more than {MAX_DEPTH} levels deep",
                "is there an alias that contains itself?",
            )
        )
    return Unreadable(
        Fault(
            origin,
            f"more than {MAX_VALUES:,} values in one file, aliases expanded",
            "split the file, or use fewer aliases",
        )
    )


def _origin(file: str, mark: Any) -> Origin:
    return Origin(file, mark.line + 1, mark.column + 1)


def _mark(root: Node, path: Path, key: bool) -> Any:
    node, mark = root, root.start_mark
    for step in path:
        child = _child(node, step)
        if child is None:
            break
        name, node = child
        mark = name.start_mark if key and name is not None else node.start_mark
    return mark


def _exactly(root: Node, path: Path) -> Any:
    node, mark = root, root.start_mark
    for step in path:
        child = _child(node, step)
        if child is None:
            return None
        name, node = child
        mark = (name or node).start_mark
    return mark


def _child(node: Node, step: str | int) -> tuple[Node | None, Node] | None:
    if isinstance(node, yaml.SequenceNode):
        return (
            (None, node.value[step]) if isinstance(step, int) and step < len(node.value) else None
        )
    if not isinstance(node, yaml.MappingNode):
        return None
    for name, value in node.value:
        if name.value == step:
            return name, value
    return next(
        (
            child
            for name, value in node.value
            if name.value == "<<"
            for child in _merged_children(value, step)
        ),
        None,
    )


def _merged_children(node: Node, step: str | int) -> Iterator[tuple[Node | None, Node]]:
    for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        child = _child(item, step)
        if child is not None:
            yield child
