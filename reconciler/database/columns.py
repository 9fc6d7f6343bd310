"""Column types that SQLite and PostgreSQL share, and conversions of their values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from reconciler.model import Digest, canonical

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

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


def to_json(value: Mapping[str, Any]) -> str:
    """Return plain data as canonical JSON text."""
    return canonical(dict(value)).decode()


def from_json(text: str) -> Any:
    """Return the plain data of a JSON text."""
    return {} if text == "{}" else msgspec.json.decode(text)


def to_raw(digest: Digest | None) -> bytes | None:
    return None if digest is None else digest.raw


def to_digest(raw: bytes | None) -> Digest | None:
    return None if raw is None else Digest(raw)
