"""Digests as a type, and the canonical JSON whose digests are taken.

Canonical JSON: sorted keys, UTF-8, no white space, numbers as integers or strings (never floats,
whose text differs between machines). Everything that is compared across machines is a sha256 of
that.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(order="sorted")


class HexDigest:
    """Mark of a field that holds a Digest, and whose JSON is bare hex.

    msgspec would write a Digest as an object, because it is a struct; it is a struct because sets
    of a million are compared and hashed. Fields are decoded by `decode_digest`.
    """

    __slots__ = ()


class Digest(HexDigest, msgspec.Struct, frozen=True, order=True):
    """A sha256: 32 raw bytes. `str()` gives `sha256:<64 hex>`, `.hex` the bare hex."""

    raw: bytes

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Return the digest of `data`."""
        return cls(hashlib.sha256(data).digest())

    @classmethod
    def of_value(cls, value: Any) -> Digest:
        """Return the digest of the canonical JSON of `value`."""
        return cls(hashlib.sha256(_ENCODER.encode(value)).digest())

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Parse `sha256:<hex>` or bare hex. Raises ValueError on anything else."""
        bare = text.removeprefix("sha256:")
        if not is_hex_digest(bare):
            raise ValueError(f"not a sha256 digest: {text[:80]!r}")
        return cls(bytes.fromhex(bare))

    @property
    def hex(self) -> str:
        return self.raw.hex()

    @property
    def short(self) -> str:
        """`sha256:` and twelve digits, for messages."""
        return f"sha256:{self.raw.hex()[:12]}"

    def __str__(self) -> str:
        return f"sha256:{self.raw.hex()}"


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of plain data or of a msgspec struct."""
    return _ENCODER.encode(value)


def decode_digest(type_: type[Any], text: Any) -> Digest:
    """Decode a field that is marked as HexDigest: a `dec_hook` of msgspec.

    Raises NotImplementedError for fields of other types, ValueError for anything but hex digits.
    """
    if type_ is not HexDigest:
        raise NotImplementedError(type_.__name__)
    return Digest(bytes.fromhex(text))


def is_hex_digest(text: str) -> bool:
    """Return True for 64 lower-case hex digits."""
    try:  # half the cost of a regular expression, and every artifact of every run comes by here
        return len(text) == 64 and bytes.fromhex(text).hex() == text
    except ValueError:
        return False
