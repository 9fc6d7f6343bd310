"""Option models: what a plugin's keys in a manifest may be."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

_DURATION = re.compile(r"(\d{1,9})([smhd])")
_SIZE = re.compile(r"(\d{1,12})([kKMGT]i?)?B")
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


class Options(BaseModel):
    """Base of a plugin's option models.

    Fields are snake_case in Python and camelCase in manifests. Unknown keys are refused, types are
    strict (`version: 1.10` is a number, not a text, and is refused), instances are frozen.

    `not_yet`: keys, as manifests write them, that are promised but not built: refused as `not
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


class OptionFault(ValueError):
    """Raised by a validator of an option: what is wrong with the value (never the value of a
    secret), and what to write.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def parse_duration(text: object) -> timedelta:
    """`30s`, `15m`, `6h`, `7d` as a time span. Raises OptionFault on anything else."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise OptionFault(
            "expects a duration", hint="a whole number and its unit: `30s`, `15m`, `6h` or `7d`"
        )
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def parse_size(text: object) -> int:
    """`500MiB`, `2GB`, `100B` in bytes: `KiB MiB GiB TiB` count by 1,024, `kB MB GB TB` by 1,000.
    Raises OptionFault on anything else.
    """
    found = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise OptionFault(
            "expects a size", hint="a whole number and its unit: `500MiB`, `2GB` or `100B`"
        )
    return int(found[1]) * _BYTES[found[2] or ""]


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
    """A path in a manifest. `written`: as it stands there; `path`: absolute, relative ones being
    relative to the manifest's folder.

    `recorded`: nobody validates a manifest, the option is read back from what the last apply
    recorded: that the file is gone by now is no fault of anybody's, as long as nobody needs it.
    """

    written: str
    path: Path
    recorded: bool = field(default=False, compare=False)


def _located(text: object, info: ValidationInfo) -> Located:
    context = info.context if isinstance(info.context, dict) else {}
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
    return Located(
        text, Path(os.path.abspath(os.path.join(folder, text))), bool(context.get("recorded"))
    )


LocatedPath = Annotated[
    Located,
    PlainValidator(_located),
    PlainSerializer(lambda located: located.written, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
"""An option's type: `requirements.txt` in the manifest, a Located in Python. Whether anything is
there is the plugin's to check.
"""
