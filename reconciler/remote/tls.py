"""TLS rules: which certificates a remote may have, and where the client certificate goes."""

from __future__ import annotations

import os
import ssl
import tempfile
from typing import NamedTuple

from reconciler.errors import UsageFault
from reconciler.model import Tls
from reconciler.remote.credentials import SecretValue


class TlsContexts(NamedTuple):
    """Contexts of a remote. Rule: its client certificate is presented to its own origin only.

    own: for that origin. other: for every other host. True: the HTTP client's default.
    """

    own: ssl.SSLContext | bool
    other: ssl.SSLContext | bool

    @classmethod
    def of(cls, tls: Tls, key: SecretValue | None) -> TlsContexts:
        """Return the contexts. Raises UsageFault for certificates that cannot be used."""
        other = _trust_context(tls) if tls.ca is not None or not tls.verify else True
        if tls.client_cert is None:
            return cls(other, other)
        own = _trust_context(tls)
        _load_client_certificate(own, tls.client_cert, key)
        return cls(own, other)


def _trust_context(tls: Tls) -> ssl.SSLContext:
    """Rule: certificates are verified, against `tls.ca` if given, unless `tls.verify` is off."""
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


def _load_client_certificate(
    context: ssl.SSLContext, certificate: str, key: SecretValue | None
) -> None:
    """Load a certificate and its key.

    OpenSSL reads keys from files only: the key stands in one that only this user can read, for as
    long as that takes.
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
    """Give OpenSSL an empty password; it would ask on the terminal otherwise."""
    return ""
