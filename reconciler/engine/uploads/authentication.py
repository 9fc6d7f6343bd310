"""Authentication of uploaders: an `Authorization` header against the secrets of a publication."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Iterable

from reconciler.errors import UsageFault
from reconciler.model import Secret, Uploader
from reconciler.secret_values import reveal

# By custom of package indexes, this name goes with every token.
TOKEN_USER = "__token__"  # noqa: S105


def authenticate(uploaders: Iterable[Uploader], authorization: str | None) -> str | None:
    """Return the name of the uploader that a header proves, or None.

    The name is `token` for an uploader without one. Every uploader is compared, each in constant
    time.
    """
    presented = _presented(authorization or "")
    if presented is None:
        return None
    username, secret = presented
    name = None
    for uploader in uploaders:
        expected = _value(uploader.token if uploader.token is not None else uploader.password)
        named = (
            username in (TOKEN_USER, None)
            if uploader.token is not None
            else username == uploader.username
        )
        if (
            expected
            and hmac.compare_digest(expected.encode(), secret.encode())
            and named
            and name is None
        ):
            name = uploader.username or "token"
    return name


def unreadable_secrets(uploaders: Iterable[Uploader]) -> list[str]:
    """Return why secrets cannot be read; no header can prove their uploaders."""
    problems = []
    for uploader in uploaders:
        try:
            reveal(uploader.token or uploader.password or Secret())
        except UsageFault as fault:
            problems.append(str(fault))
    return problems


def _presented(header: str) -> tuple[str | None, str] | None:
    """Return (user, password) of RFC 7617, or (None, token) of RFC 6750."""
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return None, value
    if scheme.lower() != "basic":
        return None
    try:
        username, separator, password = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (username, password) if separator else None


def _value(secret: Secret | None) -> str:
    """Return a secret, or "" where it cannot be read: that authenticates no uploader."""
    try:
        return reveal(secret) if secret is not None else ""
    except UsageFault:
        return ""
