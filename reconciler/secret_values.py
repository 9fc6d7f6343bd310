"""Values behind references to secrets, and fingerprints of them. No value reaches a message."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from reconciler.errors import UsageFault
from reconciler.model import Secret
from reconciler.redaction import register_secret


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
