"""YAML text in, documents out: plain values, and the place of each of them when somebody asks.

The C parser composes a tree of nodes with marks; a value is built from it in one pass. Places are
looked up in the tree, and the tree is dropped once the document is checked: whoever needs a place
later pays for parsing the file again.
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

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff"
)


class Unreadable(Exception):
    """Nothing more can be read from this file, and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(slots=True)
class ManifestText:
    """One file. `name`: as the user gave it; `folder`: absolute, what its relative paths are
    relative to.
    """

    name: str
    folder: str
    text: str
    _roots: list[Node] = field(default_factory=list)

    def root(self, index: int) -> Node:
        """The tree of the document with that number, parsed again the first time that a place is
        asked for.
        """
        if not self._roots:
            self._roots = list(_composed(self))
        return self._roots[index]


@dataclass(slots=True)
class Document:
    """One document of a file. `value`: plain data; integers, floats, booleans and null by the core
    schema of YAML 1.2.

    `floats_as_text`: it comes from a record, which holds fractions as texts.
    """

    floats_as_text: ClassVar[bool] = False

    source: ManifestText
    index: int
    value: Any
    _root: Node | None

    def place(self, path: Path = (), *, key: bool = False) -> Origin:
        """Where the value at `path` begins (with `key`: its key), or what comes nearest to it."""
        root = self._root if self._root is not None else self.source.root(self.index)
        mark = _mark(root, path, key)
        return Origin(self.source.name, mark.line + 1, mark.column + 1)

    @property
    def context(self) -> dict[str, Any]:
        """What an option's type may know of where it is written."""
        return {"folder": self.source.folder, "recorded": self.floats_as_text}

    def find(self, path: Path) -> Origin | None:
        """Where the key or the item at `path` stands; None where nothing does. The document may be
        parsed again for it.
        """
        root = self._root if self._root is not None else self.source.root(self.index)
        mark = _exactly(root, path)
        return None if mark is None else Origin(self.source.name, mark.line + 1, mark.column + 1)

    def bare(self) -> Document:
        """The same without its values and its tree: all that is needed to find places later."""
        return type(self)(self.source, self.index, None, None)

    def drop(self) -> None:
        """Forget the tree: it takes some thirty times the memory of the text."""
        self._root = None


class Unplaced(Document):
    """Values that stand in no file: the name of their source is all there is to say about where."""

    def place(self, path: Path = (), *, key: bool = False) -> Origin:
        return Origin(self.source.name, 1)

    def find(self, path: Path) -> Origin | None:
        return None


def documents(source: ManifestText, faults: list[Fault]) -> Iterator[Document]:
    """The documents of a file that hold anything. Adds to `faults` what is wrong with each; raises
    Unreadable where reading ends.
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
    """The C parser, told to leave tags alone. It calls these three for every value, so two of them
    are built-ins that do nothing.
    """

    descend_resolver: Any = operator.is_  # takes two arguments
    ascend_resolver: Any = int  # takes none

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else _OTHER


class _GuardedComposer(_Composer):
    """Stops at trees that nobody writes by hand, before they exhaust the C stack or memory."""

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
    """Trees of one file to plain values. Texts stay texts: only what YAML 1.2 calls a number, a
    boolean or null is one.
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
            elif value.tag is _PLAIN:  # most values by far: not worth a call
                self._values += 1
                result[name] = scalar(value.value)
            else:
                result[name] = self.value(value, depth)
        return {**merged, **result} if merged else result

    def _merged(self, node: Node, depth: int) -> dict[str, Any]:
        """What `<<: *base` or `<<: [*a, *b]` brings in; the earlier of a list wins, and the
        mapping's own keys win over both.
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
    """The trees of a file, one after the other. Raises Unreadable."""
    loader = None
    try:
        loader = _Composer(source.text) if _shallow(source.text) else _GuardedComposer(source)
        while loader.check_node():
            yield loader.get_node()
    except yaml.reader.ReaderError:
        raise Unreadable(_unprintable(source)) from None
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_syntax(source.name, error)) from None
    finally:
        if loader is not None:
            loader.dispose()


def _shallow(text: str) -> bool:
    """Is the tree of this text surely within the limits? Every level takes one of five characters,
    every value at least half of one.
    """
    return len(text) * 2 < MAX_VALUES and sum(map(text.count, ":-[{?")) < MAX_DEPTH


def _syntax(file: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    origin = _origin(file, mark) if mark is not None else Origin(file, 1)
    problem = error.problem or "it cannot be parsed"
    return Fault(
        origin,
        f"not valid YAML: {error.context + ': ' if error.context else ''}{problem}",
        _syntax_hint(problem),
    )


def _syntax_hint(problem: str) -> str | None:
    if "cannot start any token" in problem:
        return "indent with spaces, not tabs; quote a text that begins with `@`, `%` or a backtick"
    if "alias" in problem:
        return "quote a text that begins with `*`"
    if "mapping values are not allowed" in problem:
        return "quote a text that holds `: `, and check the indentation"
    return None


def _unprintable(source: ManifestText) -> Fault:
    """libyaml names an offset in bytes of its own buffer; people want a line."""
    found = _UNPRINTABLE.search(source.text)
    offset = found.start() if found else 0
    origin = Origin(
        source.name,
        source.text.count("\n", 0, offset) + 1,
        offset - source.text.rfind("\n", 0, offset),
    )
    code = f" (U+{ord(source.text[offset]):04X})" if found else ""
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
        found = _child(node, step)
        if found is None:
            break
        name, node = found
        mark = name.start_mark if key and name is not None else node.start_mark
    return mark


def _exactly(root: Node, path: Path) -> Any:
    node, mark = root, root.start_mark
    for step in path:
        found = _child(node, step)
        if found is None:
            return None
        name, node = found
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
            found
            for name, value in node.value
            if name.value == "<<"
            for found in _merged_children(value, step)
        ),
        None,
    )


def _merged_children(node: Node, step: str | int) -> Iterator[tuple[Node | None, Node]]:
    for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        found = _child(item, step)
        if found is not None:
            yield found
