"""Who may send files: what an `Authorization` header proves, compared with the secrets that a
publication refers to.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Iterable

from reconciler.errors import UsageFault
from reconciler.model import Secret, Uploader
from reconciler.remote import reveal

TOKEN_USER = "__token__"  # noqa: S105  # the name that goes with every token, by custom of package indexes


def proven(uploaders: Iterable[Uploader], authorization: str | None) -> str | None:
    """The name of the uploader, `token` for one that has none, or None. Every uploader is compared,
    in constant time each.
    """
    presented = _presented(authorization or "")
    if presented is None:
        return None
    username, secret = presented
    found = None
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
            and found is None
        ):
            found = uploader.username or "token"
    return found


def unreadable(uploaders: Iterable[Uploader]) -> list[str]:
    """Why references to secrets lead nowhere: whom nothing can let in."""
    problems = []
    for uploader in uploaders:
        try:
            reveal(uploader.token or uploader.password or Secret())
        except UsageFault as fault:
            problems.append(str(fault))
    return problems


def _presented(header: str) -> tuple[str | None, str] | None:
    """(user, password) of RFC 7617, or (None, token) of RFC 6750."""
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
    """Empty where the reference leads nowhere: nobody is let in by it."""
    try:
        return reveal(secret) if secret is not None else ""
    except UsageFault:
        return ""
