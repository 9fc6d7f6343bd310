"""Keys of `access` of a Publication: rules for readers, uploaders and managers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from reconciler.manifest.fields import User
from reconciler.model import AccessRule, Digest, Oidc
from reconciler.plugin import NotEmpty, OptionFault, Options, Secret

PUBLIC = "public"

Spell = Callable[[str], str]
"""Spells a glob of names as the groups of a repository are spelled."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)")
_GLOB = re.compile(r"[a-z0-9*?._@/\[\]-]{1,255}")


def _expiry(value: object) -> datetime:
    """Return the first moment at which a rule opens nothing; a date is its last day, in UTC."""
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return datetime.fromisoformat(value).replace(tzinfo=UTC) + timedelta(days=1)
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or beyond the calendar
        pass
    raise OptionFault(
        "expects a day, or a time with a time zone", hint="`2027-01-31` or `2027-01-31T18:00:00Z`"
    )


def _glob(text: str) -> str:
    if not _GLOB.fullmatch(text):
        raise OptionFault(
            "expects a name or a glob of names", hint="in lower case, such as `acme-*`"
        )
    return text


def _token_digest(text: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise OptionFault(
            "expects `sha256:` and 64 hex digits",
            hint="`reconciler token` makes a token and prints its digest",
        )
    return text


Expiry = Annotated[
    datetime,
    BeforeValidator(_expiry),
    WithJsonSchema({"type": "string", "pattern": f"^({_DATE.pattern}|{_TIME.pattern})$"}),
]
Glob = Annotated[
    str, AfterValidator(_glob), Field(json_schema_extra={"pattern": f"^{_GLOB.pattern}$"})
]
TokenDigest = Annotated[
    str,
    AfterValidator(_token_digest),
    Field(json_schema_extra={"pattern": "^sha256:[0-9a-f]{64}$"}),
]


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    is_local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    if not parts.hostname or not plain or not (parts.scheme == "https" or is_local):
        raise OptionFault(
            "expects the https URL of an issuer, as its tokens have it in `iss`",
            hint="such as `https://token.example.org`, without a query",
        )
    return text


class OidcSpec(Options):
    """Identity tokens of an issuer: what they must say."""

    issuer: Annotated[str, AfterValidator(_issuer)] = Field(description="Exactly `iss` of tokens.")
    audience: str = Field(min_length=1, description="What `aud` of tokens must hold.")
    claims: dict[str, str | Annotated[list[str], NotEmpty()]] = Field(
        min_length=1,
        description="By claim: a value or glob, or several of which one is enough. An issuer that"
        " others use as well signs theirs, too.",
    )

    @property
    def rule(self) -> Oidc:
        """The same, as the engine knows it."""
        claims = tuple(
            (name, (value,) if isinstance(value, str) else tuple(value))
            for name, value in sorted(self.claims.items())
        )
        return Oidc(self.issuer, self.audience, claims)


class UploaderSpec(Options):
    """Credentials: `token`, `tokenDigest`, `username` with `password`, or `oidc`."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["token"]},
                {"required": ["tokenDigest"]},
                {"required": ["username", "password"]},
                {"required": ["oidc"]},
            ],
            "dependentRequired": {"password": ["username"]},
        }
    )

    token: Secret | None = None
    token_digest: TokenDigest | None = Field(
        default=None, description="Digest of a token that `reconciler token` made."
    )
    username: User | None = Field(
        default=None,
        description="With `password`: its user. With a token: what records call who has it.",
    )
    password: Secret | None = None
    projects: Annotated[tuple[Glob, ...], Field(strict=False), NotEmpty()] = Field(
        default=(), description="Names that it is for, with globs; none: all."
    )
    expires: Expiry | None = Field(
        default=None, description="Its last day, in UTC, or the moment at which it ends."
    )
    oidc: OidcSpec | None = Field(
        default=None, description="Identity tokens (OpenID Connect), of people or of jobs in CI."
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        kinds = [self.token, self.token_digest, self.password, self.oidc]
        if sum(kind is not None for kind in kinds) != 1 or (
            self.password is not None and self.username is None
        ):
            raise OptionFault(
                "expects either `token`, `tokenDigest`, `oidc`, or `username` and `password`",
                hint="`{token: {env: NAME}}` or `{username: ci, password: {env: NAME}}`",
            )
        return self

    def rule(self, spell: Spell) -> AccessRule:
        """Return the rule, as the engine knows it."""
        return AccessRule(
            token=self.token.reference if self.token else None,
            username=self.username or "",
            password=self.password.reference if self.password else None,
            token_digest=Digest.parse(self.token_digest) if self.token_digest else None,
            projects=tuple(map(spell, self.projects)),
            expires=self.expires,
            oidc=self.oidc.rule if self.oidc else None,
        )


class ReaderSpec(UploaderSpec):
    """Readers: `public`, or credentials as of an uploader."""

    @model_validator(mode="wrap")
    @classmethod
    def _short(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, str):
            if value != PUBLIC:
                raise OptionFault(
                    "expects `public`, or a rule", hint="`[public]` or `[{token: {env: NAME}}]`"
                )
            return cls.model_construct()
        return handler(value)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"const": PUBLIC}, handler(core)]}

    @property
    def is_public(self) -> bool:
        kinds = (self.token, self.token_digest, self.password, self.oidc)
        return all(kind is None for kind in kinds)


def _public() -> list[ReaderSpec]:
    return [ReaderSpec.model_construct()]


class AccessSpec(Options):
    read: Annotated[list[ReaderSpec], NotEmpty()] = Field(default_factory=_public)
    upload: list[UploaderSpec] = Field(default_factory=list)
    manage: list[UploaderSpec] = Field(
        default_factory=list,
        description="Who may yank, mark and remove what the repository holds.",
    )

    @model_validator(mode="after")
    def _is_clear(self) -> Self:
        if len(self.read) > 1 and any(reader.is_public for reader in self.read):
            raise OptionFault(
                "`read` names `public` beside others, and would let every client read",
                hint="leave out `public`, or the others",
            )
        return self

    def readers(self, spell: Spell) -> tuple[AccessRule, ...] | None:
        """Return the rules for readers; None for every client."""
        if any(reader.is_public for reader in self.read):
            return None
        return rules(self.read, spell)


def rules(specs: Iterable[UploaderSpec], spell: Spell) -> tuple[AccessRule, ...]:
    """Return rules, as the engine knows them."""
    return tuple(spec.rule(spell) for spec in specs)
