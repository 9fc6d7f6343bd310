"""Trusted publishing: the identity of a CI job, exchanged for a short-lived token of the index.

GitHub and GitLab prove which workflow runs by a token (OIDC) that is made for one audience. The
index says which one it expects, and gives a token of its own for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from reconciler.plugin import Login, LoginConduit, Malformed, Refused

_USER: Final = "__token__"
_GITHUB_URL: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"
_GITHUB_TOKEN: Final = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105
_GITLAB: Final = "GITLAB_CI"

T = TypeVar("T")


class _Audience(msgspec.Struct):
    audience: str


class _Identity(msgspec.Struct):
    value: str


class _Minted(msgspec.Struct):
    token: str


def is_available(environment: Mapping[str, str]) -> bool:
    """Return True in a CI job that may prove its identity, as far as its variables say."""
    return bool(environment.get(_GITHUB_URL) or environment.get(_GITLAB))


def trusted_login(conduit: LoginConduit, upload: str) -> Login | None:
    """Return a token of the index; None where the job has no identity for it.

    Raises Refused where the index does not trust the job.
    """
    parts = urlsplit(upload)
    origin = f"{parts.scheme}://{parts.netloc}"
    audience = _decoded(conduit.request(f"{origin}/_/oidc/audience"), _Audience).audience
    identity = _identity(conduit, audience)
    if identity is None:
        return None
    try:
        answer = conduit.request(f"{origin}/_/oidc/mint-token", body={"token": identity})
    except Refused as error:
        raise Refused(
            f"the index gives no token to this CI job: {error}",
            hint="its settings name the workflows that it trusts (trusted publishers)",
        ) from None
    return Login(_USER, _decoded(answer, _Minted).token)


def _identity(conduit: LoginConduit, audience: str) -> str | None:
    environment = conduit.environment
    url = environment.get(_GITHUB_URL)
    if url:
        separator = "&" if "?" in url else "?"
        answer = conduit.request(
            f"{url}{separator}audience={quote(audience, safe='')}",
            bearer=environment.get(_GITHUB_TOKEN, ""),
        )
        return _decoded(answer, _Identity).value
    name = re.sub(r"[^A-Z0-9_]|^[^A-Z_]", "_", audience.upper())
    return environment.get(f"{name}_ID_TOKEN") if environment.get(_GITLAB) else None


def _decoded(body: bytes, model: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=model)
    except msgspec.DecodeError:  # says nothing of the body, which may hold a token
        raise Malformed("a request for a token was answered with something else") from None
