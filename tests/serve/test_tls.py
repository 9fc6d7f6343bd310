"""HTTPS by files: checked before the start, read again on SIGHUP, where links lead then."""

from __future__ import annotations

import signal
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.errors import UsageFault
from reconciler.serve import TlsFiles
from tests.support.processes import Server, running


def pair(folder: Path, name: str, *, password: bytes | None = None) -> TlsFiles:
    """A certificate for the loopback address, called `name`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(folder / f"{name}.crt", folder / f"{name}.key")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files.key.write_bytes(key.private_bytes(encoding, form, encryption))
    return files


def shown(server: Server) -> str:
    """The name in the certificate that a new connection sees."""
    place = urlsplit(server.url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((place.hostname or "", place.port or 0), timeout=30) as plain,
        context.wrap_socket(plain) as secure,
    ):
        der = secure.getpeercert(binary_form=True)
        secure.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert secure.recv(15) == b"HTTP/1.1 200 OK"
    assert der is not None
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def link(folder: Path, files: TlsFiles) -> TlsFiles:
    """Links to files, as tools that renew certificates keep them."""
    links = TlsFiles(folder / "live.crt", folder / "live.key")
    for name, target in ((links.certificate, files.certificate), (links.key, files.key)):
        name.unlink(missing_ok=True)
        name.symlink_to(target)
    return links


def test_a_renewed_certificate_is_shown_after_sighup_and_a_broken_one_is_not(
    tmp_path: Path,
) -> None:
    old, new = pair(tmp_path, "old"), pair(tmp_path, "new")
    links = link(tmp_path, old)
    with running(tmp_path, tls=(links.certificate, links.key)) as server:
        assert server.url.startswith("https://")
        assert shown(server) == "old"
        link(tmp_path, TlsFiles(new.certificate, old.key))
        server.process.send_signal(signal.SIGHUP)
        assert server.process.stderr is not None
        assert "is not the key of the certificate" in server.process.stderr.readline()
        assert shown(server) == "old"
        link(tmp_path, new)
        server.process.send_signal(signal.SIGHUP)
        assert any(shown(server) == "new" for _ in range(1_000))


def test_files_that_are_no_pair_are_named_before_anything_starts(tmp_path: Path) -> None:
    good, other = pair(tmp_path, "good"), pair(tmp_path, "other")
    locked = pair(tmp_path, "locked", password=b"secret")
    text, broken = tmp_path / "text", tmp_path / "broken"
    text.write_text("hello")
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    good.check()
    for files, message in (
        (TlsFiles(good.certificate, other.key), "is not the key of the certificate"),
        (TlsFiles(good.key, good.key), "holds no certificate"),
        (TlsFiles(good.certificate, good.certificate), "holds no private key"),
        (TlsFiles(text, good.key), "holds no certificate"),
        (TlsFiles(broken, good.key), "cannot be used"),
        (TlsFiles(locked.certificate, locked.key), "is encrypted"),
        (TlsFiles(tmp_path / "nothing", good.key), "cannot be read: No such file"),
        (TlsFiles(tmp_path, good.key), "cannot be read: Is a directory"),
    ):
        with pytest.raises(UsageFault, match=message) as caught:
            files.check()
        assert caught.value.hint
