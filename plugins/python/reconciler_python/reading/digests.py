"""Digests as upstream declares them: `hashes` in JSON, behind a `#` in HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

# Hex digits by algorithm, as hashlib names them. Others cannot be verified:
# `blake2_256` is no default of its algorithm.
_LENGTHS: Final = {
    "md5": 32,
    "sha1": 40,
    "sha224": 56,
    "sha256": 64,
    "sha384": 96,
    "sha512": 128,
    "blake2b": 128,
    "blake2s": 64,
    "sha3_256": 64,
    "sha3_512": 128,
}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]+")
_NONE: Final[Mapping[str, str]] = {}


class Digests(NamedTuple):
    """Digests of one file. `sha256`: 64 lower-case hex digits, or empty.

    `others`: by algorithm; `malformed`: an algorithm whose value is no digest of it.
    """

    sha256: str = ""
    others: Mapping[str, str] = _NONE
    malformed: str = ""

    def __bool__(self) -> bool:
        return bool(self.sha256 or self.others)


def sha256_of(text: str | None) -> str:
    """Return a sha256 in lower case; empty for what is none."""
    if not text:
        return ""
    if _SHA256.fullmatch(text):
        return text
    lowered = text.lower()
    return lowered if _SHA256.fullmatch(lowered) else ""


def read_digests(hashes: Mapping[str, str]) -> Digests:
    """Return the digests of one file.

    Upper case is lowered, empty values and unknown algorithms are ignored.
    """
    sha256 = sha256_of(hashes.get("sha256"))
    if sha256 and len(hashes) == 1:
        return Digests(sha256)
    others, malformed = {}, ""
    for name, value in hashes.items():
        algorithm, digest = name.lower(), value.lower()
        length = _LENGTHS.get(algorithm)
        if length is None or not digest:
            continue
        if len(digest) != length or not _HEX.fullmatch(digest):
            malformed = malformed or algorithm
        elif algorithm == "sha256":
            sha256 = digest
        else:
            others[algorithm] = digest
    return Digests(sha256, others or _NONE, malformed)
