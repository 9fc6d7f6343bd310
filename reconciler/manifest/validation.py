"""Validate parts of a document against models; collect faults with their places."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from pydantic import ValidationError

from reconciler.errors import Fault, Origin
from reconciler.manifest.document import Document, Path
from reconciler.manifest.scalars import scalar, shown
from reconciler.manifest.validation_messages import Finding, dotted, explained, findings
from reconciler.plugin import Options
from reconciler.plugin.missing_packages import missing_package_hint
from reconciler.plugin.options import Located
from reconciler.reach import OutOfReach, Reach, Use

Model = TypeVar("Model", bound=Options)

# Through JSON, because pydantic is strict about Python types but lets JSON's lists be tuples and
# its texts be enumerations.
_encode = msgspec.json.Encoder().encode


NOTHING_BEHIND = "write its value, indented further if it has several lines, or leave the key out"


class Checked:
    """Document under validation. `faults`: the list that faults are added to."""

    def __init__(self, document: Document, faults: list[Fault]) -> None:
        self.document = document
        self._faults = faults

    def refuse(
        self, path: Path, message: str, hint: str | None = None, *, key: bool = False
    ) -> None:
        """Add a fault at the value (or the key) at `path`."""
        self._faults.append(Fault(self.document.place(path, key=key), message, hint))

    def get(self, *path: str | int) -> Any:
        """Return the value at `path`, valid or not, or None."""
        value = self.document.value
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def text(self, *path: str | int) -> str | None:
        """Return the text at `path`, or None."""
        value = self.get(*path)
        return value if isinstance(value, str) else None

    def mapping(self, *path: str | int) -> dict[str, Any]:
        """Return the mapping at `path`, or an empty one."""
        value = self.get(*path)
        return value if isinstance(value, dict) else {}

    def items(self, *path: str | int) -> list[Any]:
        """Return the list at `path`, or an empty one."""
        value = self.get(*path)
        return value if isinstance(value, list) else []

    def absolute(self, path: str) -> str:
        """Return a path of the manifest as an absolute one, relative to the folder of its file."""
        folder = self.document.source.folder
        if not folder and not os.path.isabs(path):
            self.refuse(
                (),
                f"`{shown(path)}` is relative to a folder that was not recorded",
                "apply the manifests again",
            )
        return os.path.normpath(os.path.join(folder, path))

    def readable(self, place: Path, path: str, use: Use) -> str:
        """Return a path that stands at `place` as `absolute` does, if it may be read."""
        absolute = self.absolute(path)
        self.ask(place, lambda reach: reach.file(absolute, use))
        return absolute

    def ask(self, place: Path, question: Callable[[Reach], object]) -> None:
        """Ask whether the document may reach what stands at `place`; add a fault if not.

        Recorded documents are not asked again.
        """
        reach = self.document.source.reach
        try:
            if reach is not None:
                question(reach)
        except OutOfReach as error:
            self.refuse(place, f"`{dotted(place)}`: {error.message}", error.hint)

    def against(
        self,
        model: type[Model],
        path: Path,
        value: Any,
        *,
        also: Sequence[str] = (),
        located: Mapping[str, Located] = MappingProxyType({}),
        note: Callable[[str], str] | None = None,
    ) -> Model | None:
        """Return `value`, which stands at `path`, as an instance of `model`, or None and faults.

        Of keys without a value (`deny:`) nothing is said: see `refuse_nulls`. `also`: keys known
        beside the model's, for hints. `located`: paths by the tokens that stand for them in
        `value`. `note`: tells where that stands which a text on the whole speaks of, for its hint.
        """
        try:
            context = {**self.document.context, "located": located}
            return model.model_validate_json(_encode(value), context=context)
        except ValidationError as error:
            errors = findings(error, value)
        except Exception as error:  # a plugin's own validator
            self.refuse(
                path,
                f"the plugin's check failed: {type(error).__name__}",
                missing_package_hint(error) or "this is a fault of the plugin: tell its authors",
            )
            return None
        fractions = (
            [finding.path for finding in errors if _is_fraction(finding)]
            if self.document.floats_as_text
            else []
        )
        if fractions:
            value = _with_fractions(value, fractions)
            return self.against(model, path, value, also=also, located=located, note=note)
        written = [finding for finding in errors if not _is_null(finding, value)]
        told = explained(written, self.document, path, model=model, also=also)
        self._faults.extend(_noted(told, self.document.place(path), note) if note else told)
        return None

    def refuse_nulls(self) -> None:
        """Refuse every key of the document with nothing behind it.

        Rule: null is not absence. An emptied list would otherwise come to mean everything.
        """
        for path in _nulls(self.document.value, ()):
            self.refuse(
                path,
                f"`{dotted(path)}` has nothing behind it",
                NOTHING_BEHIND,
                key=True,
            )


def _noted(faults: Iterable[Fault], whole: Origin, note: Callable[[str], str]) -> Iterator[Fault]:
    """Yield the faults, those about the value as a whole with a further hint."""
    for fault in faults:
        told = note(f"{fault.message} {fault.hint}") if fault.origin == whole else ""
        hint = "; ".join(filter(None, (fault.hint, told))) or None
        yield Fault(fault.origin, fault.message, hint)


def _nulls(value: Any, path: Path) -> Iterator[Path]:
    """Yield the paths of keys without a value; items of lists are left to the models."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner is None:
                yield (*path, key)
            elif inner.__class__ is not str:
                yield from _nulls(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if inner.__class__ is not str:
                yield from _nulls(inner, (*path, index))


def _is_null(finding: Finding, value: Any) -> bool:
    """Return True if the error is about a key without a value, which `refuse_nulls` names."""
    if finding.error["type"] == "extra_forbidden" or finding.missing or not finding.path:
        return False
    for step in finding.path:
        value = value[step]
    return value is None and isinstance(finding.path[-1], str)


def _is_fraction(finding: Finding) -> bool:
    """Return True if a text was written where the model expects the number in it."""
    written = finding.error["input"]
    return (
        finding.error["type"] == "float_type"
        and isinstance(written, str)
        and isinstance(scalar(written), float)
    )


def _with_fractions(value: Any, paths: Sequence[Path]) -> Any:
    """Return a copy of plain data in which the texts at `paths` are numbers."""
    if () in paths:
        return scalar(value)
    if isinstance(value, dict):
        return {
            key: _with_fractions(inner, [path[1:] for path in paths if path[0] == key])
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [
            _with_fractions(inner, [path[1:] for path in paths if path[0] == index])
            for index, inner in enumerate(value)
        ]
    return value
