"""Credentials of remotes, whose values never reach a message."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from reconciler.errors import UsageFault
from reconciler.model import Auth, Remote, Secret
from reconciler.redaction import register_secret
from reconciler.secret_values import reveal


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

    def log_in(self, username: str, password: str) -> None:
        """Add a user with a password, which no message shows."""
        register_secret(password)
        self.headers["Authorization"] = _encoded(username, password)


def _text(value: str | Secret) -> str:
    return reveal(value) if isinstance(value, Secret) else value


def _basic(auth: Auth) -> SecretValue:
    return _encoded(_text(auth.username), reveal(auth.password))


def _encoded(username: str, password: str) -> SecretValue:
    """RFC 7617, in UTF-8."""
    encoded = b64encode(f"{username}:{password}".encode()).decode("ascii")
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
