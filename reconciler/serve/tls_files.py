"""The certificate and the key of the server: files, checked before the server relies on them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import UsageFault

CERTIFICATE, KEY = "--tls-cert", "--tls-key"


class _Encrypted(Exception):
    """Raised instead of asking for a password."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate chain and its key, in PEM. Names are followed anew whenever they are read."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raise UsageFault where the server could not use them."""
        certificate, key = _content(CERTIFICATE, self.certificate), _content(KEY, self.key)
        if b"CERTIFICATE-----" not in certificate:
            raise UsageFault(
                f"`{CERTIFICATE} {self.certificate}` holds no certificate",
                hint="a PEM file: the server's own certificate first, then those that lead to its"
                " authority",
            )
        if b"PRIVATE KEY-----" not in key:
            raise UsageFault(
                f"`{KEY} {self.key}` holds no private key",
                hint="a PEM file with `BEGIN PRIVATE KEY`",
            )
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, _refuse_password)
        except _Encrypted:
            raise UsageFault(
                f"`{KEY} {self.key}` is encrypted, and no one is there to type its password",
                hint="`openssl pkey -in KEY -out PLAIN_KEY` decrypts it; keep it readable by the"
                " server alone",
            ) from None
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise UsageFault(
                    f"`{KEY} {self.key}` is not the key of the certificate `{self.certificate}`",
                    hint="the first certificate of the file is the server's own",
                ) from None
            raise UsageFault(
                f"`{self.certificate}` and `{self.key}` cannot be used:"
                f" {error.reason or 'neither is what it seems'}",
                hint="PEM files of a certificate chain and of its key",
            ) from None
        except OSError as error:  # one of them left while it was read
            raise UsageFault(
                f"`{self.certificate}` or `{self.key}` cannot be read: {error.strerror}",
                hint="put both in place before SIGHUP",
            ) from None


def _refuse_password() -> str:
    raise _Encrypted


def _content(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageFault(
            f"`{option} {path}` cannot be read: {error.strerror}",
            hint="the user that runs the server reads it, at the start and on SIGHUP",
        ) from None
