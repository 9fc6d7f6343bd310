"""`osv:` of a Filter: releases that an OSV dump records as malware or vulnerable.

The dump is a file of the user's own, a folder or a zip of OSV records: no request is made while
deciding.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Literal, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from reconciler.plugin import Located, LocatedPath, OptionFault, Options
from reconciler_python.evidence.osv_dump import Dump, open_dump
from reconciler_python.evidence.osv_files import is_dump
from reconciler_python.evidence.osv_records import Advisory

_STALE: Final = timedelta(days=7)
_RANKS: Final = {"low": 1, "moderate": 2, "medium": 2, "high": 3, "critical": 4}
_WORDS: Final = {1: "low", 2: "medium", 3: "high", 4: "critical"}


class OsvRules(Options):
    """Advisories that keep a release out. A text is short for `path`."""

    path: LocatedPath = Field(
        description="Folder or zip of OSV records (JSON), relative to the manifest's folder."
    )
    malware: Literal["deny", "allow"] = Field(
        default="deny",
        description="Whether releases pass of which a `MAL-` record says that they are malware.",
    )
    severity: Literal["low", "moderate", "medium", "high", "critical"] | None = Field(
        default=None,
        description="From which severity on vulnerabilities count; none: they do not count.",
    )
    unknown_severity: Literal["deny", "allow"] = Field(
        default="deny",
        description="Whether vulnerabilities without a severity pass, where `severity` is set.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _there(self) -> Self:
        if not self.path.recorded and not is_dump(self.path.path):
            raise OptionFault(
                f"`{self.path.written}` is neither a folder nor a zip file",
                hint="unpack or download an OSV dump of PyPI there",
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "minLength": 1}, handler(core)]}

    @field_serializer("path")
    def _named(self, path: Located) -> str:
        """Serialise as written: the content has a digest of its own, below."""
        return path.written

    @model_serializer(mode="wrap")
    def _with_content(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Serialise with the digest of the dump, so that new content decides again."""
        return {**plain(self), "content": self.dump.digest}

    @cached_property
    def dump(self) -> Dump:
        """Return the dump in one state, for as long as these options live.

        Raises Malformed where it cannot be read.
        """
        return open_dump(self.path.path, self.path.written)


def age_warning(rules: OsvRules, now: datetime) -> str | None:
    """Return what to say of a dump that is older than a week; None for a younger one."""
    date = rules.dump.date
    if date is None or now - date <= _STALE:
        return None
    age = (now - date).days
    return (
        f"the OSV dump `{rules.path.written}` is of {date:%Y-%m-%d}, {age} days old: what was found"
        " since is not in it"
    )


def advisory_reason(project: str, version: str, rules: OsvRules) -> str | None:
    """Return why advisories keep a release out; None where none does.

    For example `MAL-2024-1: malware`, `GHSA-xxxx (high): vulnerable`. `project`: normalised;
    `version`: canonical, or as upstream writes it where it cannot be read. Raises Malformed where
    the dump cannot be read.
    """
    advisories = sorted(
        rules.dump.affecting(project, version),
        key=lambda advisory: (not advisory.malware, advisory.id),
    )
    return next((reason for advisory in advisories if (reason := _reason(advisory, rules))), None)


def _reason(advisory: Advisory, rules: OsvRules) -> str | None:
    if advisory.malware:
        return f"{advisory.id}: malware" if rules.malware == "deny" else None
    if rules.severity is None:
        return None
    rank = rules.dump.severity(advisory)
    if rank is None:
        return (
            f"{advisory.id} (severity unknown): vulnerable"
            if rules.unknown_severity == "deny"
            else None
        )
    return f"{advisory.id} ({_WORDS[rank]}): vulnerable" if rank >= _RANKS[rules.severity] else None
