"""Secrets: values behind references, which never reach a message."""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from reconciler.errors import UsageFault
from reconciler.model import Auth, Remote, Secret
from reconciler.redaction import register_secret


class SecretValue:
    """Secret value that no text form shows; only `.value` returns it."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not to be serialised")


class Credentials:
    """Revealed secrets of one remote.

    The headers that only its own host may see, and the private key (PEM) beside its certificate.
    """

    __slots__ = ("client_key", "headers")

    def __init__(
        self, headers: Mapping[str, SecretValue], client_key: SecretValue | None = None
    ) -> None:
        self.headers = dict(headers)
        self.client_key = client_key

    @classmethod
    def of(cls, remote: Remote) -> Credentials:
        """Reveal the secrets that the remote refers to.

        Raises UsageFault naming the remote and the reference that leads nowhere.
        """
        try:
            headers = {
                name: SecretValue(_header(name, _text(value)))
                for name, value in remote.headers.items()
            }
            if remote.auth is not None:
                headers["Authorization"] = _basic(remote.auth)
            key = remote.tls.client_key
            return cls(headers, SecretValue(reveal(key)) if key is not None else None)
        except UsageFault as fault:
            raise UsageFault(f"{remote.meta.ref}: {fault}", hint=fault.hint) from None


def reveal(secret: Secret) -> str:
    """Return the value behind a reference, and have `redact` remove it from every text.

    The value is that of the variable, or the file's text less one newline at its end. Raises
    UsageFault naming the reference.
    """
    value = _read(secret)
    register_secret(value)
    return value


def register_secrets(secrets: Iterable[Secret]) -> None:
    """Register the values behind references that this run may not use itself.

    A plugin can read the environment, too. References that lead nowhere are passed over.
    """
    for secret in secrets:
        with suppress(UsageFault):
            reveal(secret)


def _read(secret: Secret) -> str:
    if secret.env is not None:
        value = os.environ.get(secret.env)
        if value is None:
            raise UsageFault(
                f"the environment variable `{secret.env}` is not set",
                hint="a manifest takes a secret from it",
            )
        return value
    try:
        text = Path(secret.file or "").read_bytes().decode()
    except OSError as error:
        raise UsageFault(
            f"the secret file `{secret.file}` cannot be read: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise UsageFault(f"the secret file `{secret.file}` is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def fingerprint(key: bytes, value: str) -> str:
    """Return 64 hex digits that differ when a secret does; without `key` they tell nothing."""
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def _text(value: str | Secret) -> str:
    return reveal(value) if isinstance(value, Secret) else value


def _basic(auth: Auth) -> SecretValue:
    """RFC 7617, in UTF-8."""
    pair = f"{_text(auth.username)}:{reveal(auth.password)}"
    encoded = b64encode(pair.encode()).decode("ascii")
    register_secret(encoded)
    return SecretValue(f"Basic {encoded}")


def _header(name: str, value: str) -> str:
    """Return the value. Rule: no line breaks, which would let a value add headers of its own."""
    if not value.isprintable():
        raise UsageFault(
            f"the header `{name}` has a value that no header can hold",
            hint="printable characters on one line",
        )
    return value
