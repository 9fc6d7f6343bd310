"""Keys about upload times: cooldowns, and a moment before which files were uploaded."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from reconciler.plugin import Duration, OptionFault, Options

_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII
)


class MinAge(Options):
    """A cooldown. A duration is short for `age`."""

    age: Duration = Field(description="How long ago a file must have been uploaded: `7d`.")
    unknown: Literal["deny", "allow", "firstSeen"] = Field(
        default="deny",
        description="Whether files pass whose upload time upstream does not state; `firstSeen`:"
        " the age counts from when an apply first read of them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return value if isinstance(value, dict | MinAge) else {"age": value}

    @model_serializer
    def _short_again(self) -> timedelta | dict[str, Any]:
        """Return the short form where it says the same: what was recorded with it stands."""
        if self.unknown == "deny":
            return self.age
        return {"age": self.age, "unknown": self.unknown}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        full = handler(core)
        short = handler.resolve_ref_schema(full)["properties"]["age"]
        return {"anyOf": [{key: short[key] for key in ("type", "pattern")}, full]}


def parse_moment(text: object) -> datetime:
    """Return `2026-07-01T00:00:00Z` in UTC. Raises OptionFault on anything else."""
    try:
        if isinstance(text, str) and _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or beyond the calendar in UTC
        pass
    raise OptionFault("expects a time with a time zone", hint="such as `2026-07-01T00:00:00Z`")


Moment = Annotated[
    datetime,
    BeforeValidator(parse_moment),
    WithJsonSchema({"type": "string", "pattern": f"^{_MOMENT.pattern}$"}),
]
"""An option's type: `2026-07-01T00:00:00Z` in the manifest, an aware datetime in Python."""
