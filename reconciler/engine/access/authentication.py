"""Authentication of clients: an `Authorization` header against the rules of a publication."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Iterable
from datetime import datetime

from reconciler.errors import UsageFault
from reconciler.model import TOKEN_USER, AccessRule, Digest, Grant, Publication, Secret
from reconciler.secret_values import reveal

_CLIENTS = {"upload": "an uploader", "manage": "a manager", "read": "a reader"}


def authenticate(
    rules: Iterable[AccessRule], authorization: str | None, *, now: datetime
) -> Grant | None:
    """Return what a header proves, by the first rule that it fulfils; None where it fulfils none.

    Every rule is compared, each in constant time. Rules that have expired open nothing.
    """
    shown = presented(authorization or "")
    if shown is None:
        return None
    username, secret = shown
    grant = None
    for rule in rules:
        expected, actual = _compared(rule, secret)
        named = username == rule.username if rule.password else username in (TOKEN_USER, None)
        fulfils = expected and hmac.compare_digest(expected.encode(), actual.encode()) and named
        if fulfils and grant is None and not rule.has_expired(now):
            grant = Grant(rule.username or "token", rule.projects, rule.expires)
    return grant


def locked_out(publications: Iterable[Publication], now: datetime) -> list[str]:
    """Return a message for each client whom no header can prove here and now."""
    return [
        f"publication `{publication.meta.name}`: {_CLIENTS[key]} is locked out: {problem}"
        for publication in publications
        for key, rules in publication.access_rules.items()
        for problem in _problems(rules, now)
    ]


def _problems(rules: Iterable[AccessRule], now: datetime) -> list[str]:
    problems = []
    for rule in rules:
        if rule.expires is not None and rule.has_expired(now):
            problems.append(f"its rule expired on {rule.expires:%Y-%m-%d}")
            continue
        secret = rule.token or rule.password
        try:
            if secret is not None:
                reveal(secret)
        except UsageFault as fault:
            problems.append(str(fault))
    return problems


def _compared(rule: AccessRule, secret: str) -> tuple[str, str]:
    """Return what a rule expects, "" for nothing, and what stands against it."""
    if rule.token_digest is not None:
        return rule.token_digest.hex, Digest.of(secret.encode()).hex
    return _value(rule.token or rule.password), secret


def presented(header: str) -> tuple[str | None, str] | None:
    """Return (user, password) of RFC 7617, or (None, token) of RFC 6750."""
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return None, value
    if scheme.lower() != "basic":
        return None
    try:
        username, separator, password = b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # neither base64, nor UTF-8 in it, nor ASCII around it
        return None
    return (username, password) if separator else None


def _value(secret: Secret | None) -> str:
    """Return a secret, or "" where it cannot be read: that authenticates no client."""
    try:
        return reveal(secret) if secret is not None else ""
    except UsageFault:
        return ""
