"""What a store says when something is wrong, in the same words whatever it is made of."""

from __future__ import annotations

import errno

from reconciler.errors import DigestMismatch, StateFault
from reconciler.model import Digest


def mismatch(expected: Digest, found: Digest, size: int) -> DigestMismatch:
    """Bytes that are not what was promised."""
    return DigestMismatch(f"expected {expected}, got {found} ({size:,} bytes)")


def missing(digest: Digest, place: str) -> StateFault:
    """Bytes that ought to be there."""
    return StateFault(
        f"{place} holds no bytes with the digest {digest}",
        hint="restore the store, or apply again to download them",
    )


def unwritable(folder: str, error: OSError) -> StateFault:
    """A folder that cannot be written, because it is full or not ours."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = (
        "free some space and run again; nothing incomplete was kept"
        if full
        else "check who owns the folder and whether it is writable"
    )
    return StateFault(
        f"cannot write to the store in `{folder}`: {error.strerror or error}", hint=hint
    )
