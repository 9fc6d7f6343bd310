"""How TLS is spoken to a remote: who is trusted, and who we say that we are."""

from __future__ import annotations

import os
import ssl
import tempfile
from typing import NamedTuple

from reconciler.errors import UsageFault
from reconciler.model import Tls
from reconciler.remote.secrets import RedactingFetcher


class TlsContexts(NamedTuple):
    """`own`: for the remote's own host, with the client certificate; `other`: for everybody else.
    True is the client's default.
    """

    own: ssl.SSLContext | bool
    other: ssl.SSLContext | bool

    @classmethod
    def of(cls, tls: Tls, key: RedactingFetcher | None) -> TlsContexts:
        """Raises UsageFault for certificates that cannot be used."""
        other = _trusting(tls) if tls.ca is not None or not tls.verify else True
        if tls.client_cert is None:
            return cls(other, other)
        own = _trusting(tls)
        _identify(own, tls.client_cert, key)
        return cls(own, other)


def _trusting(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except OSError as error:
        raise UsageFault(
            f"the certificates in `{tls.ca}` cannot be used: {error.strerror or error}",
            hint="`tls.ca` names a PEM file",
        ) from None
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _identify(context: ssl.SSLContext, certificate: str, key: RedactingFetcher | None) -> None:
    """OpenSSL reads keys from files only: the key stands in one that only we can read, for as long
    as that takes.
    """
    try:
        if key is None:
            context.load_cert_chain(certificate, password=_no_password)
            return
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:  # created with mode 0600
            file.write(key.value)
            file.flush()
            context.load_cert_chain(certificate, file.name, password=_no_password)
    except OSError as error:
        reason = getattr(error, "reason", None) or (
            os.strerror(error.errno) if error.errno else "no reason given"
        )
        raise UsageFault(
            f"the client certificate `{certificate}` cannot be used with its key: {reason}",
            hint="PEM files, the key without a password",
        ) from None


def _no_password() -> str:
    """Without this, OpenSSL would ask on the terminal."""
    return ""
