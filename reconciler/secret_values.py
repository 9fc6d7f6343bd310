"""Values behind references to secrets, and fingerprints of them. No value reaches a message."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from reconciler.errors import UsageFault
from reconciler.model import Secret
from reconciler.redaction import register_secret

MOST_BYTES = 1024 * 1024  # of a secret file: far more than a chain of certificates with its key


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


def fingerprint(key: bytes, value: str) -> str:
    """Return 64 hex digits that differ when a secret does; without `key` they tell nothing."""
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def _read(secret: Secret) -> str:
    return _variable(secret.env) if secret.env is not None else _file_text(secret.file or "")


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise UsageFault(
            f"the environment variable `{name}` is not set",
            hint="a manifest takes a secret from it",
        )
    try:
        value.encode()
    except UnicodeEncodeError:  # says which characters, and that is part of the secret
        raise UsageFault(f"the environment variable `{name}` is not UTF-8 text") from None
    return value


def _file_text(path: str) -> str:
    try:
        text = _file_bytes(path).decode()
    except OSError as error:
        raise UsageFault(f"the secret file `{path}` cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageFault(f"the secret file `{path}` is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _file_bytes(path: str) -> bytes:
    """Return what a file holds. A pipe would have every run wait, a device fill the memory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageFault(
                f"the secret file `{path}` is no plain file",
                hint="a secret is read several times: write it into a file",
            )
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MOST_BYTES:
        raise UsageFault(f"the secret file `{path}` holds more than {MOST_BYTES:,} bytes")
    return data
