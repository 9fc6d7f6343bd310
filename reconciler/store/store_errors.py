"""Errors of a store, worded alike for every kind of store."""

from __future__ import annotations

import errno

from reconciler.errors import DigestMismatch, StateFault
from reconciler.model import Digest


def mismatch(expected: Digest, actual: Digest, size: int) -> DigestMismatch:
    """Return the error for bytes that have another digest than declared."""
    return DigestMismatch(f"expected {expected}, got {actual} ({size:,} bytes)")


def missing(digest: Digest, place: str) -> StateFault:
    """Return the error for bytes that are not in the store."""
    return StateFault(
        f"{place} holds no bytes with the digest {digest}",
        hint="restore the store, or apply again to download them",
    )


def unwritable(folder: str, error: OSError) -> StateFault:
    """Return the error for a folder that cannot be written: it is full or not ours."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = (
        "free some space and run again; nothing incomplete was kept"
        if full
        else "check who owns the folder and whether it is writable"
    )
    return StateFault(
        f"cannot write to the store in `{folder}`: {error.strerror or error}", hint=hint
    )
