"""The public surface of a package as text: what its users may rely on, name by name.

A surface maps `Name` and `Name.member` to a line that says what it is: its signature, type and
default. Two surfaces are compared line by line, and what differs says how the version must rise
(semver): what is added the minor, what goes or changes the major.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import ModuleType
from typing import Any, get_origin

import msgspec
from packaging.version import Version

import reconciler.plugin
import reconciler.plugin.testing

UNRELEASED = "2.0.0"
HOW = (
    "adding is minor, removing or changing is major: raise `API_VERSION` accordingly, then record"
    " the surface with `RECONCILER_GOLDEN=write`"
)

_MODULES = re.compile(r"(?:\w+\.)+(?=\w)")  # in front of a name

Surface = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Names that were added, removed, and changed."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def breaking(self) -> bool:
        return bool(self.removed or self.changed)

    def __str__(self) -> str:
        named = {"added": self.added, "removed": self.removed, "changed": self.changed}
        return "; ".join(f"{word} {', '.join(names)}" for word, names in named.items() if names)


def compared(recorded: Surface, current: Surface) -> Difference:
    common = recorded.keys() & current.keys()
    return Difference(
        tuple(sorted(current.keys() - recorded.keys())),
        tuple(sorted(recorded.keys() - current.keys())),
        tuple(sorted(name for name in common if recorded[name] != current[name])),
    )


def objection(difference: Difference, recorded: str, version: str) -> str | None:
    """Why the recorded surface must not be replaced by one of this version, or None."""
    before, after = Version(recorded), Version(version)
    if after < before:
        return f"version {version} is older than the recorded {recorded}"
    if recorded == version == UNRELEASED:
        return None  # nobody has this version yet: what never was released cannot be broken
    if difference.breaking and after.major == before.major:
        return f"{difference}: that takes a major version above {recorded}, this is {version}"
    if difference and (after.major, after.minor) == (before.major, before.minor):
        return f"{difference}: that takes a minor version above {recorded}, this is {version}"
    return None


def surface(module: ModuleType, ours: str, *, without: str = "") -> dict[str, str]:
    """Everything that a module exports, with what its classes inherit from modules under `ours`.
    `without`: a constant whose value does not count.
    """
    found: dict[str, str] = {}
    for name in module.__all__:
        value = getattr(module, name)
        found[name] = "constant" if name == without else _described(value)
        if inspect.isclass(value):
            found |= {f"{name}.{member}": text for member, text in _members(value, ours)}
    return dict(sorted(found.items()))


def plugin_surface() -> dict[str, str]:
    """The surface of the plugin API, and that of its kit without its tests."""
    kit = surface(reconciler.plugin.testing, "reconciler")
    return surface(reconciler.plugin, "reconciler", without="API_VERSION") | {
        f"testing.{name}": text for name, text in kit.items() if ".test_" not in name
    }


def _described(value: Any) -> str:
    if inspect.isclass(value):
        return f"{_sort(value)}({', '.join(base.__name__ for base in value.__bases__)})"
    if inspect.isfunction(value):
        return f"function{_signature(value)}"
    if get_origin(value) is not None:
        return f"alias of {_type(value)}"
    return f"constant {_value(value)}"


def _sort(cls: type) -> str:
    if getattr(cls, "_is_protocol", False):
        return "protocol"
    return (
        "struct"
        if issubclass(cls, msgspec.Struct)
        else "exception"
        if issubclass(cls, BaseException)
        else "class"
    )


def _members(cls: type, ours: str) -> Iterator[tuple[str, str]]:
    """Of the class and of those of our own that it derives from, the nearest definition of each."""
    seen: set[str] = set()
    for name, text in (
        *_fields(cls),
        *(pair for base in cls.__mro__ if base.__module__.startswith(ours) for pair in _own(base)),
    ):
        if name not in seen:
            seen.add(name)
            yield name, text


def _own(cls: type) -> Iterator[tuple[str, str]]:
    for name, value in vars(cls).items():
        text = _member(name, value, cls)
        if text is not None:
            yield name, text
    for name, annotation in inspect.get_annotations(cls).items():
        if not name.startswith("_"):
            yield name, f"attribute: {_type(annotation)}"


def _fields(cls: type) -> Iterator[tuple[str, str]]:
    if issubclass(cls, msgspec.Struct):
        for field in msgspec.structs.fields(cls):
            default = (
                field.default if field.default is not msgspec.NODEFAULT else field.default_factory
            )
            shown = "" if default is msgspec.NODEFAULT else f" = {_value(default)}"
            yield field.name, f"field: {_type(field.type)}{shown}"
    elif is_dataclass(cls):
        for each in fields(cls):
            chosen = each.default if each.default is not MISSING else each.default_factory
            yield (
                each.name,
                f"field: {_type(each.type)}{'' if chosen is MISSING else f' = {_value(chosen)}'}",
            )


def _member(name: str, value: Any, owner: type) -> str | None:
    """A line for what is public; constructors count where they are written by hand."""
    made = (
        issubclass(owner, msgspec.Struct)
        or is_dataclass(owner)
        or getattr(owner, "_is_protocol", False)
    )
    if name.startswith("_") and not (name == "__init__" and not made):
        return None
    if isinstance(value, property):
        return f"property -> {_type(_hints(value.fget).get('return', Any))}"
    if isinstance(value, classmethod | staticmethod):
        return f"{type(value).__name__} {_callable(value.__func__)}"
    if inspect.isfunction(value):
        return _callable(value)
    if inspect.isdatadescriptor(value) or inspect.ismemberdescriptor(value):
        return None  # slots: their fields are told
    annotation = inspect.get_annotations(owner).get(name)
    return (
        f"attribute: {_type(annotation)} = {_value(value)}"
        if annotation is not None
        else f"attribute = {_value(value)}"
    )


def _callable(function: Callable[..., Any]) -> str:
    kind = "async method" if inspect.iscoroutinefunction(function) else "method"
    return f"{kind}{_signature(function)}"


def _signature(function: Callable[..., Any]) -> str:
    """Like `inspect.signature`, in words that do not depend on Python's version or on where a
    module lies.
    """
    signature = inspect.signature(function)
    texts: list[str] = []
    before = None
    for parameter in signature.parameters.values():
        if before is parameter.POSITIONAL_ONLY and parameter.kind is not before:
            texts.append("/")
        if parameter.kind is parameter.KEYWORD_ONLY and before not in (
            parameter.KEYWORD_ONLY,
            parameter.VAR_POSITIONAL,
        ):
            texts.append("*")
        before = parameter.kind
        texts.append(_parameter(parameter))
    if before is inspect.Parameter.POSITIONAL_ONLY:
        texts.append("/")
    returned = (
        ""
        if signature.return_annotation is signature.empty
        else f" -> {_type(signature.return_annotation)}"
    )
    return f"({', '.join(texts)}){returned}"


def _parameter(one: inspect.Parameter) -> str:
    star = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
    annotation = "" if one.annotation is one.empty else f": {_type(one.annotation)}"
    default = "" if one.default is one.empty else f" = {_value(one.default)}"
    return f"{star}{one.name}{annotation}{default}"


def _hints(function: Any) -> Mapping[str, Any]:
    return getattr(function, "__annotations__", {})


def _type(annotation: Any) -> str:
    """A type as it is written: by names, without modules."""
    if isinstance(annotation, str):
        return annotation
    if annotation is None or annotation is type(None):
        return "None"
    if hasattr(annotation, "__metadata__"):
        return _type(annotation.__origin__)
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__qualname__
    return _MODULES.sub("", repr(annotation))


def _value(value: Any) -> str:
    """A value where it is plain; of anything else its kind: its insides are no promise."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    if isinstance(value, list | tuple):
        return repr(value)
    if isinstance(value, frozenset | set):
        return f"{type(value).__name__}({sorted(value)})"
    return (
        value.__qualname__
        if inspect.isclass(value) or inspect.isfunction(value)
        else type(value).__name__
    )
