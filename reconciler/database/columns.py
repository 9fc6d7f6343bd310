"""Column types that SQLite and PostgreSQL share, and conversions of their values."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from reconciler.errors import StateFault
from reconciler.model import Digest, canonical

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_MARK = b"\x01"  # no JSON begins with it
_WINDOW = -12  # raw deflate that looks back 4 KiB
_WORDS = (  # what comes last costs least; a digest is a mark, its length and bytes
    b'"license":"licenses":["expression":"summary":"author":"description":"attestations":'
    b'"provenance":"requiresDist":["yanked":"quarantined":"publisher":'
    b".jar.deb.rpm.zip.tgz-abi3-none-cp313-cp313-cp310-cp310--py2.py3-none-any.whl"
    b"-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    b"-cp312-cp312-win_amd64.whl-macosx_11_0_arm64.whl"
    b'","packageType":"sdist","requiresPython":">=3.8","uploadTime":"2025-1'
    b'.tar.gz","sha256":"\x01 "},{"path":".whl.metadata","sha256":"\x01 "}],"group":"'
    b'"}],"group":"","key":"{"artifacts":[{"path":"-py3-none-any.whl","sha256":"\x01 ","size":1'
    b'}],"group":"","key":"-py3-none-any.whl","metadata":{"coreMetadata":true,"name":"'
    b'","metadata":{"name":"","packageType":"wheel","requiresPython":">=3.'
    b'","uploadTime":"2026-01-02T00:00:00.000000Z","version":"1.0"},"type":"python.distribution"}'
)

_AS_IT_IS = b"\x00"
_HEX = rb"(?:[0-9a-f]{2}){16,32}"
_SEGMENTS = re.compile(rb"(?<![^/])" + _HEX + rb"(?![^/])")
_STRINGS = re.compile(rb'(?<=")' + _HEX + rb'(?=")')

_MEDIA_TYPES = {
    "0": "application/octet-stream",
    "1": "text/html",
    "2": "application/vnd.pypi.simple.v1+html",
    "3": "application/vnd.pypi.simple.v1+json",
    "4": "application/json",
    "5": "text/plain",
    "6": "application/zip",
    "7": "application/gzip",
}
_NUMBERS = {name: number for number, name in _MEDIA_TYPES.items()}

# SQLite numbers rows by itself only in a column of exactly this type.
Identity = BigInteger().with_variant(Integer(), "sqlite")

# Names sort by code point in either database, as Python sorts them.
Name = Text().with_variant(Text(collation="C"), "postgresql")


class Moment(TypeDecorator[datetime]):
    """An aware time. SQLite has no such type: there it is whole microseconds since 1970, UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(
            BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True)
        )

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = (
            _EPOCH + value * _MICROSECOND if dialect.name == "sqlite" else value.astimezone(UTC)
        )
        return moment


class PackedJson(TypeDecorator[bytes]):
    """A JSON object, compressed against words that many units share; digests in hex are bytes.

    What was written before, or would not get shorter, stands as it is. The words never change:
    other ones would need another mark. Raises StateFault for what it did not write.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        packer = zlib.compressobj(6, zlib.DEFLATED, _WINDOW, 4, zdict=_WORDS)
        packed = _MARK + packer.compress(_packed(value, _STRINGS)) + packer.flush()
        return packed if len(packed) < len(value) or value.startswith(_MARK) else value

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        if value is None or not value.startswith(_MARK):
            return value
        try:
            return _unpacked(_inflated(value[1:]))
        except (ValueError, zlib.error) as error:
            raise _damaged("body of a unit", error) from None


class HexPacked(TypeDecorator[str]):
    """A path or URL. On SQLite, segments that are digests in hex stand in it as bytes.

    It sorts by segments; of those in a folder, digests come first. A pair ends with a bound: what
    follows a path. Raises StateFault for what it did not write.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Text(collation="C"))

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | bytes | None:
        if value is None:
            return None
        path: str
        bound: str
        path, bound = value if isinstance(value, tuple) else (value, "")
        if dialect.name != "sqlite":
            return f"{path}{bound}"
        return pack_hex(path) + bound.encode()

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        if not isinstance(value, bytes):
            text: str | None = value
            return text
        try:
            return unpack_hex(value)
        except ValueError as error:
            raise _damaged("path or URL", error) from None


def pack_hex(text: str) -> bytes:
    """Return text with each segment of 32 to 64 hex digits as a mark, its length and bytes."""
    return _packed(text.encode("utf-8", "surrogatepass"), _SEGMENTS)


def unpack_hex(data: bytes) -> str:
    """Return the text that `pack_hex` packed. Raises ValueError for what it did not pack."""
    return _unpacked(data).decode("utf-8", "surrogatepass")


def _packed(data: bytes, digests: re.Pattern[bytes]) -> bytes:
    if _MARK in data or data.startswith(_AS_IT_IS):
        return _AS_IT_IS + data
    return digests.sub(_raw, data)


def _raw(digest: re.Match[bytes]) -> bytes:
    raw = bytes.fromhex(digest[0].decode())
    return _MARK + bytes([len(raw)]) + raw


def _unpacked(data: bytes) -> bytes:
    if data.startswith(_AS_IT_IS):
        return data[1:]
    if _MARK not in data:
        return data
    parts, start = [], 0
    while (mark := data.find(_MARK, start)) >= 0:
        begin = mark + 2
        end = begin + int.from_bytes(data[mark + 1 : begin])
        if end == begin or end > len(data):
            raise ValueError("a digest in it is cut off")
        parts += [data[start:mark], data[begin:end].hex().encode()]
        start = end
    return b"".join([*parts, data[start:]])


def _inflated(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(_WINDOW, _WORDS)
    text = unpacker.decompress(data)
    if not unpacker.eof:
        raise ValueError("its end is missing")
    return text


def _damaged(what: str, error: Exception) -> StateFault:
    return StateFault(
        f"the database holds a damaged {what}: {error}", hint="restore the database from a backup"
    )


class MediaType(TypeDecorator[str]):
    """A media type. On SQLite the usual ones have a number, which never changes."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Text(collation="C"))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None or dialect.name != "sqlite" else _NUMBERS.get(value, value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None else _MEDIA_TYPES.get(value, value)


def to_json(value: Mapping[str, Any]) -> str:
    """Return plain data as canonical JSON text."""
    return canonical(dict(value)).decode()


def from_json(text: str) -> Any:
    """Return the plain data of a JSON text. Raises StateFault for a text that is none."""
    try:
        return {} if text == "{}" else msgspec.json.decode(text)
    except ValueError as error:
        raise _damaged("JSON text", error) from None


def to_raw(digest: Digest | None) -> bytes | None:
    return None if digest is None else digest.raw


def to_digest(raw: bytes | None) -> Digest | None:
    return None if raw is None else Digest(raw)
