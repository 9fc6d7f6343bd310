"""`licenses:` of a Filter: allowed licences, and the licence that a distribution declares.

In this order: `License-Expression` (PEP 639), else the `License ::` classifiers, else a free-text
`License` that happens to be an SPDX expression. All three are the author's own claim; the code is
not examined.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from reconciler.plugin import OptionFault, Options, Unit, sanitize
from reconciler_python.evidence.licence_classifiers import classifiers_expression
from reconciler_python.evidence.spdx import (
    Expression,
    UnreadableExpression,
    alternatives,
    canonical_text,
    parse_expression,
    satisfied,
)

LICENCE_FACTS: Final = "_license"
"""Transient key of a unit's metadata: `expression`, `classifiers`, `text` as the core metadata has
them, `problem` where it cannot be read, `unasked` where every answer would be the same because
something else keeps the unit out.
"""

_HEADERS = 1024 * 1024  # bytes of core metadata before the description


def _checked(text: str) -> str:
    try:
        parse_expression(text)
    except UnreadableExpression as error:
        raise OptionFault(
            f"`{text}` is no SPDX licence expression: {error}",
            hint="such as `MIT`, `Apache-2.0` or `BSD-3-Clause`",
        ) from None
    return text


def _some(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not texts:
        raise OptionFault(
            "an empty list allows no licence at all",
            hint="name licences, such as `MIT`; leave out the key to ask for none",
        )
    return texts


class LicenceRules(Options):
    """Licences that pass. A list, or a single text, is short for `allow`."""

    allow: Annotated[
        tuple[Annotated[str, AfterValidator(_checked)], ...],
        Field(strict=False),
        AfterValidator(_some),
    ] = Field(
        json_schema_extra={"minItems": 1},
        description=(
            "SPDX licence expressions of which each is fine: `MIT`, `GPL-2.0-only WITH"
            " Classpath-exception-2.0`."
        ),
    )
    unknown: Literal["deny", "allow"] = Field(
        default="deny",
        description="Whether files pass that do not say clearly what they are under.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"allow": [value]}
        return {"allow": value} if isinstance(value, list) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        full = handler(core)
        short = handler.resolve_ref_schema(full)["properties"]["allow"]
        return {
            "anyOf": [
                {"type": "string"},
                {key: short[key] for key in ("type", "items", "minItems")},
                full,
            ]
        }

    @cached_property
    def allowed(self) -> frozenset[Expression]:
        return frozenset(
            expression for text in self.allow for expression in alternatives(parse_expression(text))
        )


def licence_reason(unit: Unit, rules: LicenceRules) -> str | None:
    """Return why the licence keeps this unit out; None where it does not.

    An unknown licence is refused unless `unknown: allow`.
    """
    facts = unit.metadata.get(LICENCE_FACTS) or {}
    if facts.get("unasked"):
        return None
    expression, shown = _declared(facts)
    if expression is None:
        return None if rules.unknown == "allow" else f"licence unknown{shown}"
    return None if satisfied(expression, rules.allowed) else f"licence {shown}"


def licence_text(unit: Unit, rules: LicenceRules) -> str:
    """Return why a unit passes that `licence_reason` does not refuse."""
    facts = unit.metadata.get(LICENCE_FACTS) or {}
    if facts.get("unasked"):
        return "licence not asked: another rule decides"
    expression, shown = _declared(facts)
    return (
        f"licence {shown}"
        if expression is not None
        else f"licence unknown{shown}; unknown ones may pass"
    )


def licence_facts(core_metadata: bytes) -> dict[str, Any]:
    """Return the licence of core metadata: a value for LICENCE_FACTS.

    Raises nothing: unreadable metadata gives a `problem`.
    """
    from packaging.metadata import (
        parse_email,
    )  # pulls the e-mail package: only where there is metadata to read

    headers = _headers(core_metadata)
    if headers is None:
        return {"problem": "its metadata is too long"}
    try:
        raw, unparsed = parse_email(headers)
    except Exception as error:  # a library over the e-mail package, over whatever upstream sends
        return {"problem": f"its metadata cannot be read: {type(error).__name__}"}
    if "license-expression" in unparsed:
        return {"problem": "its License-Expression cannot be read"}
    facts = {
        "expression": raw.get("license_expression"),
        "classifiers": [
            classifier
            for classifier in raw.get("classifiers", ())
            if classifier.startswith("License ::")
        ],
        "text": raw.get("license"),
    }
    return {name: value for name, value in facts.items() if value}


def _headers(core_metadata: bytes) -> bytes | None:
    """Return the metadata without the description, which is nearly all of it."""
    ends = [core_metadata.find(mark) for mark in (b"\n\n", b"\r\n\r\n")]
    end = min((position for position in ends if position >= 0), default=len(core_metadata))
    return core_metadata[:end] if end <= _HEADERS else None


def _declared(facts: dict[str, Any]) -> tuple[Expression | None, str]:
    """Return the declared expression, and its text for messages.

    Returns None with the rest of `licence unknown...` where there is none.
    """
    if facts.get("problem"):
        return None, f": {_one_line(facts['problem'])}"
    if facts.get("expression"):
        return _read(facts["expression"], "")
    if facts.get("classifiers"):
        text, strange = classifiers_expression(facts["classifiers"])
        if strange:
            return None, f": classifier `{_one_line(strange)}`"
        if text:
            return _read(text, ", by classifier")
    return _read(facts["text"], "") if facts.get("text") else (None, "")


def _read(text: str, by: str) -> tuple[Expression | None, str]:
    try:
        return parse_expression(text), canonical_text(text) + by
    except UnreadableExpression:
        return None, f": `{_one_line(text)}` is no SPDX expression"


def _one_line(text: str) -> str:
    return sanitize(" ".join(text.split()), 80)
