"""Option models: what a plugin's keys in a manifest may be."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Options(BaseModel):
    """Base of a plugin's option models.

    Fields are snake_case in Python and camelCase in manifests. Unknown keys are refused, types are strict
    (`version: 1.10` is a number, not a text, and is refused), instances are frozen.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel, populate_by_name=False, hide_input_in_errors=True)
