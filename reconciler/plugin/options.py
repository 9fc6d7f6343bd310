"""Declarations of a plugin: its metadata, and option models for its keys in manifests."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from reconciler.reach import OutOfReach, Reach

_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_SIZE = re.compile(r"(\d{1,12})([kKMGT]i?)?B", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {
    "": 1,
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


class Metadata(msgspec.Struct, frozen=True):
    """Identity of a plugin.

    `id`: unique per kind. `types`: IDs of the content types it handles. `api`: a PEP 440 range of
    API versions.
    """

    id: str
    display_name: str
    types: Sequence[str] = ()
    api: str = ">=2.0,<3"


class Options(BaseModel):
    """Base of a plugin's option models.

    Fields are snake_case in Python and camelCase in manifests. Unknown keys are refused, types are
    strict (`version: 1.10` is a number, not a text, and is refused), instances are frozen.

    `not_yet`: keys, as manifests write them, that are planned but not built: refused as `not
    supported yet`.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=False,
        hide_input_in_errors=True,
        # a command pays for the models that its manifests use, when they use them
        defer_build=True,
    )

    not_yet: ClassVar[frozenset[str]] = frozenset()

    def warnings(self, now: datetime) -> Iterable[str]:
        """Return what a user should look at, a sentence each: a plan shows it and goes on.

        Asked of the options of sources and filters once a plan, after their decisions.
        """
        return ()


class OptionFault(ValueError):
    """Raised by a validator of an option, with what is wrong and what to write instead.

    The message must not contain the value of a secret.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class NotEmpty:
    """Annotation of a list or mapping that selects: an empty one is refused, in the schema too.

    `Annotated[tuple[str, ...], Field(strict=False), NotEmpty()]`. What is left out may mean
    everything; what was emptied must not.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(_not_empty, handler(source))

    def __get_pydantic_json_schema__(
        self, core: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        return schema | {"minProperties" if schema.get("type") == "object" else "minItems": 1}


def _not_empty(value: Any) -> Any:
    if not value:
        raise OptionFault(
            "an empty list selects nothing" if not isinstance(value, dict) else "it is empty",
            hint=(
                "write what is meant, or leave the key out: an emptied list never comes to mean"
                " everything"
            ),
        )
    return value


def parse_duration(text: object) -> timedelta:
    """Return `30s`, `15m`, `6h` or `7d` as a timedelta. Raises OptionFault on anything else."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise OptionFault(
            "expects a duration", hint="a whole number and its unit: `30s`, `15m`, `6h` or `7d`"
        )
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def parse_size(text: object) -> int:
    """Return `500MiB`, `2GB` or `100B` in bytes. Raises OptionFault on anything else.

    `KiB MiB GiB TiB` count by 1,024, `kB MB GB TB` by 1,000.
    """
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise OptionFault(
            "expects a size", hint="a whole number and its unit: `500MiB`, `2GB` or `100B`"
        )
    return int(match[1]) * _BYTES[match[2] or ""]


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]
"""An option's type: `7d` in the manifest, a timedelta in Python."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": f"^{_SIZE.pattern}$"}),
]
"""An option's type: `500MiB` in the manifest, bytes in Python."""


@dataclass(frozen=True, slots=True)
class Located:
    """Path in a manifest.

    `written`: as the manifest has it. `path`: absolute; relative paths start from the manifest's
    folder. `recorded`: True if the option is read back from what the last apply recorded, not from
    a manifest: then a missing file is no fault until it is needed.
    """

    written: str
    path: Path
    recorded: bool = field(default=False, compare=False)
    _reach: Reach | None = field(default=None, compare=False, repr=False)

    def readable(self, path: Path) -> Path:
        """Return the real path of a further file that the one here names, links followed.

        Rule: a plugin asks before it reads what a file beside the manifests names. Raises
        OptionFault where manifests may not read it.
        """
        return Path(ask(lambda reach: reach.file(os.path.abspath(path)), self._reach) or path)

    def variable(self, name: str) -> str | None:
        """Return an environment variable that the file here names; None where it is not set.

        Raises OptionFault where manifests may not refer to it.
        """
        ask(lambda reach: reach.plain_variable(name), self._reach)
        return os.environ.get(name)


LARGEST_FILE: Final = 1024**3  # bytes of a file that counts as configuration


def _with_content(located: Located) -> str:
    """Return a path as what is recorded of options has it, with the digest of the file, if any."""
    if not located.path.is_file():  # a folder, a pipe, or nothing
        return located.written
    try:
        if (size := located.path.stat().st_size) > LARGEST_FILE:  # grown since it was named
            return f"{located.written} {size} bytes"
        with located.path.open("rb") as file:
            return f"{located.written} sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return located.written


def ask(question: Callable[[Reach], str | None], reach: Reach | None) -> str | None:
    """Return the answer of the reach of a manifest; None without one. Raises OptionFault."""
    try:
        return question(reach) if reach is not None else None
    except OutOfReach as error:
        raise OptionFault(error.message, hint=error.hint) from None


def _located(text: object, info: ValidationInfo) -> Located:
    context = info.context if isinstance(info.context, dict) else {}
    elsewhere: Located | None = context.get("located", {}).get(text)
    if elsewhere is not None:  # found from the file that it stands in
        return elsewhere
    folder = context.get("folder", os.curdir)
    if not isinstance(text, str) or not text or not text.isprintable():
        raise OptionFault(
            "expects a path", hint="of a file or a folder, relative to the manifest's own folder"
        )
    if not folder and not os.path.isabs(text):
        raise OptionFault(
            f"`{text}` is relative to a folder that was not recorded",
            hint="apply the manifests again",
        )
    path, reach = os.path.abspath(os.path.join(folder, text)), context.get("reach")
    ask(lambda reach: reach.file(path), reach)
    located = Located(text, Path(path), bool(context.get("recorded")), reach)
    if not located.recorded:
        _check_size(located)
    return located


def _check_size(located: Located) -> None:
    """Raise OptionFault for a file so large that hashing it would keep every run waiting."""
    try:
        size = located.path.stat().st_size if located.path.is_file() else 0
    except OSError:  # the plugin says what is wrong with it
        return
    if size > LARGEST_FILE:
        raise OptionFault(
            f"`{located.written}` has {size:,} bytes, and what a manifest names may have"
            f" {LARGEST_FILE:,}",
            hint="every run reads the file: name a smaller one, or a folder",
        )


LocatedPath = Annotated[
    Located,
    PlainValidator(_located),
    PlainSerializer(_with_content, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
"""An option's type: `requirements.txt` in the manifest, a Located in Python.

The plugin checks whether the file exists. What a file holds counts as configuration: where it
changed, the source is read again, and the publication is rendered again.
"""
