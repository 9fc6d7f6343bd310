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
        for option, path in ((CERTIFICATE, self.certificate), (KEY, self.key)):
            _check_readable(option, path)
        if not _holds(self.certificate, b"CERTIFICATE-----"):
            raise UsageFault(
                f"`{CERTIFICATE} {self.certificate}` holds no certificate",
                hint="a PEM file: the server's own certificate first, then those that lead to its"
                " authority",
            )
        if not _holds(self.key, b"PRIVATE KEY-----"):
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


def _refuse_password() -> str:
    raise _Encrypted


def _check_readable(option: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise UsageFault(
            f"`{option} {path}` cannot be read: {error.strerror}",
            hint="the user that runs the server reads it, at the start and on SIGHUP",
        ) from None


def _holds(path: Path, words: bytes) -> bool:
    return words in path.read_bytes()
