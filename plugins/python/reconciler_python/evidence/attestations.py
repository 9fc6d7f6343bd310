"""`attestations:` of a Filter: accepted publishers of a file, and the proof required.

An index hands out a provenance object beside a file (PEP 740): bundles, each naming a publisher and
holding signed attestations. Without `verify` the index is trusted. With it the signatures are
checked against the trust root that `pypi-attestations` brings, and the certificate must be the
named publisher's; a publisher's `environment` is not part of the certificate and rests on the index
alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from reconciler.plugin import NotEmpty, OptionFault, Options, Unit, sanitize

ATTESTATION_FACTS: Final = "_attestation"
"""Transient key of a unit's metadata: `publishers` (what `provenance_facts` made of the provenance
object; none: there is none), `problem` where it cannot be read, `unasked` where every answer would
be the same because something else keeps the unit out.
"""

EXTRA: Final = "package-reconciler[attestations]"
LIBRARY: Final = "pypi_attestations"
_REQUIRED: Final = "required"

# What identifies a publisher of each kind, first, and what narrows it further; names as provenance
# objects have them.
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "GitHub": ("repository", "workflow", "environment"),
    "GitLab": ("repository", "workflow", "environment"),
    "Google": ("email",),
    "CircleCI": ("project_id", "pipeline_definition_id"),
}


class PublisherRule(Options):
    """One accepted publisher. `GitHub:acme/app` is short for its kind and what identifies it."""

    kind: Literal["GitHub", "GitLab", "Google", "CircleCI"] = Field(
        description="The service that publishes, as provenance objects name it."
    )
    repository: str = Field(
        default="", description="GitHub, GitLab: `owner/name`, in any letter case."
    )
    workflow: str = Field(
        default="",
        description="GitHub: the workflow's filename; GitLab: the path of its configuration.",
    )
    environment: str = Field(
        default="",
        description="GitHub, GitLab: the environment that the index names; no signature covers it.",
    )
    email: str = Field(default="", description="Google: the service account.")
    project_id: str = Field(default="", description="CircleCI: the project.")
    pipeline_definition_id: str = Field(
        default="", description="CircleCI: the pipeline definition."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        kind, mark, identity = value.partition(":")
        if not (mark and kind in _KEYS and identity):
            raise OptionFault(
                f"`{value}` names no publisher",
                hint="`GitHub:acme/app`, `GitLab:acme/app` or `Google:builder@example.org`",
            )
        return {"kind": kind, _camel(_KEYS[kind][0]): identity}

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        known = _KEYS[self.kind]
        strange = next((name for name in self._wanted() if name not in known), None)
        if strange is not None:
            raise OptionFault(
                f"a publisher of kind `{self.kind}` has no `{_camel(strange)}`",
                hint=f"its keys: {_listed(known)}",
            )
        if not getattr(self, known[0]):
            raise OptionFault(
                f"a publisher of kind `{self.kind}` needs `{_camel(known[0])}`",
                hint=f"its keys: {_listed(known)}",
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "anyOf": [{"type": "string", "pattern": f"^({'|'.join(_KEYS)}):.+$"}, handler(core)]
        }

    def matches(self, publisher: dict[str, Any]) -> bool:
        """Return True if a bundle's publisher has every value that is written here."""
        return publisher.get("kind") == self.kind and all(
            _same(name, value, publisher.get(name)) for name, value in self._wanted().items()
        )

    def _wanted(self) -> dict[str, str]:
        names = {name for keys in _KEYS.values() for name in keys}
        return {name: getattr(self, name) for name in sorted(names) if getattr(self, name)}


class AttestationRules(Options):
    """Requirements on the provenance of a file. `required` is short for `{required: true}`."""

    required: bool = Field(
        default=True, description="Whether files without an attestation are refused."
    )
    publishers: Annotated[tuple[PublisherRule, ...], Field(strict=False), NotEmpty()] = Field(
        default=(),
        description=(
            "Publishers of which one must have attested an attested file; none: any publisher."
        ),
    )
    verify: bool = Field(
        default=False, description=f"Whether signatures are checked; needs the extra `{EXTRA}`."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, str) and value != _REQUIRED):
            written = str(value).lower() if isinstance(value, bool) else value
            hint = (
                "`required` (short for `{required: true}`), or a mapping with `required`,"
                " `publishers` and `verify`"
            )
            raise OptionFault(f"`{written}` says nothing about attestations", hint=hint)
        return {"required": True} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _verifiable(self) -> Self:
        if self.verify and find_spec(LIBRARY) is None:
            raise OptionFault(
                "signatures cannot be checked: `pypi-attestations` is not installed",
                hint=f"install `{EXTRA}`, or leave out `verify`",
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"const": _REQUIRED, "type": "string"}, handler(core)]}

    @property
    def asks(self) -> bool:
        """True if the decision depends on the provenance of a file."""
        return self.required or self.verify or bool(self.publishers)


def attestation_reason(unit: Unit, rules: AttestationRules) -> str | None:
    """Return why its attestations, or their absence, keep this unit out; None if they do not."""
    facts = unit.metadata.get(ATTESTATION_FACTS) or {}
    if not rules.asks or facts.get("unasked"):
        return None
    if facts.get("problem"):
        return f"attestation unreadable: {facts['problem']}"
    publishers = facts.get("publishers") or ()
    if not publishers:
        return "no attestation" if rules.required else None
    fine = _fine(publishers, rules)
    if not fine:
        return f"attested by {', '.join(sorted({_named(publisher) for publisher in publishers}))}"
    if not rules.verify or any(publisher.get("verified") is True for publisher in fine):
        return None
    return (
        f"attestation of {_named(fine[0])} does not verify:"
        f" {fine[0].get('problem') or 'not checked'}"
    )


def attestation_text(unit: Unit, rules: AttestationRules) -> str:
    """Return why a unit passes that `attestation_reason` does not refuse."""
    facts = unit.metadata.get(ATTESTATION_FACTS) or {}
    if not rules.asks or facts.get("unasked"):
        return "attestation not asked" + (": another rule decides" if rules.asks else "")
    fine = _fine(facts.get("publishers") or (), rules)
    if not fine:
        return "no attestation, and none is required"
    verified = (
        next((publisher for publisher in fine if publisher.get("verified") is True), None)
        if rules.verify
        else None
    )
    return f"attested by {_named(verified or fine[0])}" + (", verified" if verified else "")


def _fine(publishers: Iterable[dict[str, Any]], rules: AttestationRules) -> list[dict[str, Any]]:
    return [
        publisher
        for publisher in publishers
        if not rules.publishers or any(rule.matches(publisher) for rule in rules.publishers)
    ]


def _same(name: str, required: str, claimed: object) -> bool:
    """Return True if a claimed value equals the required one.

    Owners and repositories are compared without letter case, as their hosts do.
    """
    if not isinstance(claimed, str):
        return False
    return (
        required.casefold() == claimed.casefold() if name == "repository" else required == claimed
    )


def _named(publisher: dict[str, Any]) -> str:
    """Return `GitHub:acme/app release.yml`, on one line of printable characters."""
    kind = publisher.get("kind", "")
    identity, *narrower = [publisher.get(name) or "" for name in _KEYS.get(kind, ())] or [""]
    text = " ".join(part for part in (f"{kind}:{identity}", *narrower) if part).strip(":")
    return sanitize(text, 200)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{_camel(name)}`" for name in names)
