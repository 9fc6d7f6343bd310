"""Signatures of Release files, verified by gpgv with the keys that a manifest names, no others."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from reconciler.plugin import Malformed, OptionFault, Refused, sanitize

_BEGIN: Final = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_END: Final = b"-----END PGP PUBLIC KEY BLOCK-----"
_PRIVATE: Final = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"
_MESSAGE: Final = b"-----BEGIN PGP SIGNED MESSAGE-----"
_MESSAGE_END: Final = b"-----END PGP SIGNATURE-----"
_WEAK: Final = ("1", "2", "3")  # MD5, SHA-1, RIPEMD-160
_STATUS: Final = "[GNUPG:] "
_SECONDS: Final = 60
_KEY = re.compile(r"[0-9A-Fa-f]{8,64}")

# What gpgv says of a signature that counts for nothing, and the reason in words.
_REFUSALS: Final = {
    "BADSIG": "does not fit the text: it was changed after it was signed",
    "EXPKEYSIG": "was made by a key that has expired",
    "REVKEYSIG": "was made by a key that was revoked",
    "EXPSIG": "has expired",
}


class Verdict(msgspec.Struct, frozen=True):
    """Verdict of gpgv on all signatures of one text.

    `good`: fingerprints of keys with a valid signature. `refused`: key and reason. `unknown`: keys
    that the manifest does not name.
    """

    good: Sequence[str]
    refused: Sequence[tuple[str, str]]
    unknown: Sequence[str]


class Keyring:
    """The public keys that may sign a suite. `files`: their contents, armoured or binary, by name.

    Rule: what a Release lists counts only with a valid signature by one of these keys. One key that
    has expired or was revoked does not spoil a signature by another, as archives sign with the old
    and the new key while they change them; a signature that does not fit the text always does.
    """

    def __init__(self, files: Sequence[tuple[str, bytes]]) -> None:
        self._keys = b"".join(binary_keys(name, body) for name, body in files)

    def verified_text(self, signed: bytes, signature: bytes | None = None) -> bytes:
        """Return the text that was signed, and nothing else of the file.

        `signature`: a detached one; None for text with a signature around it. Raises Malformed
        naming the keys where no signature counts, Refused where gpgv is not installed.
        """
        if signature is None:
            check_single_message(signed)
        with tempfile.TemporaryDirectory(prefix="reconciler-deb-") as folder:
            status, text = self._run(Path(folder), signed, signature)
        judge(parse_status(status))
        return signed if signature is not None else text

    def _run(self, folder: Path, signed: bytes, signature: bytes | None) -> tuple[str, bytes]:
        keys, given, output = folder / "keys.gpg", folder / "signed", folder / "text"
        keys.write_bytes(self._keys)
        given.write_bytes(signed)
        files = [str(given)]
        if signature is not None:
            (folder / "signature").write_bytes(signature)  # gpgv reads both forms
            files = [str(folder / "signature"), str(given)]
        options = ["--homedir", str(folder), "--keyring", str(keys), "--status-fd", "1"]
        options += ["--output", str(output)] if signature is None else []
        command = [_gpgv(), *options, "--", *files]
        try:
            process = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Refused(f"gpgv gave no verdict within {_SECONDS} seconds") from None
        text = output.read_bytes() if output.exists() else b""
        return process.stdout.decode(errors="replace"), text


def judge(verdict: Verdict) -> None:
    """Raise Malformed unless a signature counts, and no signature contradicts the text."""
    bad = [key for key, reason in verdict.refused if reason == _REFUSALS["BADSIG"]]
    if verdict.good and not bad:
        return
    if verdict.refused:
        key, reason = next((each for each in verdict.refused if each[0] in bad), verdict.refused[0])
        raise Malformed(
            f"the signature of key `{key}` {reason}",
            hint="put the archive's present key into `keys`, once you know that it is theirs",
        )
    if verdict.unknown:
        names = ", ".join(f"`{key}`" for key in verdict.unknown)
        raise Malformed(
            f"it is signed by {names}, which `keys` does not hold",
            hint="add that key to `keys`, once you know that it is theirs",
        )
    raise Malformed("it carries no signature that gpgv can read")


def parse_status(text: str) -> Verdict:
    """Return the verdict that the status lines of gpgv give.

    The word on a signature (`GOODSIG`, `EXPKEYSIG`) comes before its `VALIDSIG`, which gpgv says of
    expired and revoked keys as well.
    """
    good: list[str] = []
    refused: list[tuple[str, str]] = []
    unknown: list[str] = []
    counts = False
    for words in _status_lines(text):
        name = words[0]
        if name == "NEWSIG":
            counts = False
        elif name == "GOODSIG":
            counts = True
        elif name in _REFUSALS:
            refused.append((_with_owner(words), _REFUSALS[name]))
        elif name == "NO_PUBKEY":
            unknown.append(sanitize(words[1], 64) if len(words) > 1 else "?")
        elif name == "VALIDSIG" and counts:
            if _hash_algorithm(words) in _WEAK:
                refused.append((words[1], "is made over a digest that can be forged"))
            else:
                good.append(words[1])
            counts = False
    return Verdict(good, refused, unknown)


def _hash_algorithm(words: Sequence[str]) -> str:
    """Return the number of a VALIDSIG line's hash algorithm (RFC 9580 9.5)."""
    return words[8] if len(words) > 8 else ""


def check_single_message(signed: bytes) -> None:
    """Raise Malformed unless the file is one signed text, with nothing before or behind it.

    gpgv would put out the text of a second one as well, with whatever signature.
    """
    text = signed.strip()
    if (
        not text.startswith(_MESSAGE)
        or not text.endswith(_MESSAGE_END)
        or signed.count(_MESSAGE) != 1
        or signed.count(_MESSAGE_END) != 1
    ):
        raise Malformed("it is not one signed text, with nothing before and behind it")


def binary_keys(name: str, body: bytes) -> bytes:
    """Return keys without their armour: gpgv reads binary ones only.

    Raises OptionFault for what holds no public key.
    """
    if _PRIVATE in body:
        raise OptionFault(
            f"`{name}` holds a private key",
            hint="only the public one verifies: `gpg --armor --export`",
        )
    if _BEGIN not in body:
        if body[:1] and body[0] & 0x80:  # RFC 9580 4.2: the first bit of a packet is set
            return body
        raise OptionFault(f"`{name}` holds no OpenPGP key")
    return b"".join(_blocks(name, body))


def _blocks(name: str, body: bytes) -> Iterator[bytes]:
    for block in body.split(_BEGIN)[1:]:
        inner, end, _ = block.partition(_END)
        if not end:
            raise OptionFault(f"`{name}`: the end of a key is missing")
        yield _decoded(name, inner)


def _decoded(name: str, armoured: bytes) -> bytes:
    """Return the bytes of an armoured block (RFC 9580 6): headers, a blank line, base64, a sum."""
    lines = [line.strip() for line in armoured.split(b"\n")]
    start = next((at for at, line in enumerate(lines[1:], 1) if not line), 0)
    data = b"".join(line for line in lines[start:] if line and not line.startswith(b"="))
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise OptionFault(f"`{name}`: an OpenPGP key that cannot be decoded") from None


def _gpgv() -> str:
    program = shutil.which("gpgv")
    if program is None:
        raise Refused(
            "gpgv is not installed, and nothing else verifies the signature of a Release",
            hint="install the package `gpgv`",
        )
    return program


def _status_lines(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith(_STATUS):
            words = line.removeprefix(_STATUS).split()
            if words:
                yield words


def _with_owner(words: Sequence[str]) -> str:
    """Return key and owner of a status line, such as `EXPKEYSIG <key> <user>`."""
    key = words[1] if len(words) > 1 and _KEY.fullmatch(words[1]) else "?"
    owner = sanitize(" ".join(words[2:]), 100)
    return f"{key} {owner}".strip()
