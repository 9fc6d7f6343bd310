"""Signatures of rendered texts, each made once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from reconciler.database import Reader, Signature
from reconciler.errors import PluginFault
from reconciler.model import Digest
from reconciler.plugin import Signer

MAX_IDENTITY_LENGTH = 255


class Signatures:
    """Signs what one publisher renders, unless it was signed before.

    Args:
        publisher: ID of the publisher.
        moment: Returns the moment of the version that is rendered.
    """

    def __init__(self, reader: Reader, publisher: str, moment: Callable[[], datetime]) -> None:
        self._reader = reader
        self._publisher = publisher
        self._moment = moment

    def of(self, path: str, text: bytes, signer: Signer) -> tuple[bytes, Signature]:
        """Return what is served under `path`, and the record of it.

        Raises:
            PluginFault: The signer broke its contract.
        """
        if not isinstance(text, bytes):
            raise PluginFault(
                f"`{path}`: the text to sign is of the type `{type(text).__name__}`, not bytes",
                hint="encode a text: `.encode()`",
            )
        digest, name = Digest.of(text), f"{self._publisher}: {_identity(path, signer)}"
        body = self._reader.signed(digest, name)
        if body is None:
            body = signer.sign(text, self._moment())
        if not isinstance(body, bytes) or not body:
            raise PluginFault(
                f"`{path}`: `sign` returned no bytes but {type(body).__name__!r}",
                hint="return the signed text, or the signature",
            )
        return body, Signature(digest, name, Digest.of(body))


def _identity(path: str, signer: Signer) -> str:
    identity = getattr(signer, "identity", None)
    if (
        not isinstance(identity, str)
        or not 0 < len(identity) <= MAX_IDENTITY_LENGTH
        or not identity.isprintable()
    ):
        raise PluginFault(
            f"`{path}`: the `identity` of its signer is no text of up to {MAX_IDENTITY_LENGTH}"
            " printable characters",
            hint="the fingerprint of the key and the form: `<fingerprint> clearsigned`",
        )
    return identity
