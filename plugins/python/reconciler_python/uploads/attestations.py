"""Attestations that come with a file (PEP 740): checked, and made its provenance object.

They must be well-formed and about this very file. With the extra `attestations` the signatures are
verified, and publishers are those that the certificates name; what does not verify is refused.
Without it signatures are kept unread, and the publisher is of a kind that no rule of a filter
matches, so that clients and filters which ask for one do not believe it.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Final

import msgspec

from reconciler.plugin import UploadedFile, sanitize
from reconciler_python.evidence.attestations import LIBRARY
from reconciler_python.evidence.provenance import (
    Attestation,
    InvalidProvenance,
    Statement,
    error_line,
    statement_of,
    verifying_library,
)
from reconciler_python.evidence.signers import Publisher, claimed_publisher
from reconciler_python.uploads.refusals import UploadRefused

__all__ = ["UNVERIFIED", "provenance_object"]

UNVERIFIED: Final[Publisher] = {"kind": "Unverified"}
_MOST: Final = 8  # attestations of one file, each of another predicate
_LARGEST: Final = 512 * 1024  # bytes of the field; real ones have some 10,000

_JSON = msgspec.json.Encoder()


def provenance_object(field: str, file: UploadedFile) -> bytes:
    """Return the provenance object of a file from the field `attestations` of its form.

    Raises UploadRefused.
    """
    attestations = _read(field)
    _check_predicates([_statement(raw, file) for raw in attestations])
    bundles: dict[bytes, list[msgspec.Raw]] = {}
    for raw, publisher in zip(attestations, _publishers(attestations, file), strict=True):
        bundles.setdefault(_JSON.encode(publisher), []).append(raw)
    return _JSON.encode(
        {
            "version": 1,
            "attestation_bundles": [
                {"publisher": msgspec.Raw(publisher), "attestations": attested}
                for publisher, attested in bundles.items()
            ],
        }
    )


def _read(field: str) -> list[msgspec.Raw]:
    if len(field) > _LARGEST:
        raise _invalid(f"it has more than {_LARGEST:,} characters")
    try:
        attestations = msgspec.json.decode(field, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _invalid(f"it is no JSON list: {error_line(error)}") from None
    if not 0 < len(attestations) <= _MOST:
        raise _invalid(f"it holds {len(attestations)} attestations, and 1 to {_MOST} are taken")
    return attestations


def _statement(raw: msgspec.Raw, file: UploadedFile) -> Statement:
    """Return what an attestation says. Raises UploadRefused unless it is about this file."""
    try:
        statement = statement_of(msgspec.json.decode(raw, type=Attestation))
    except (msgspec.MsgspecError, InvalidProvenance, RecursionError) as error:
        raise _invalid(error_line(error)) from None
    subjects = [(each.name, each.digest.get("sha256")) for each in statement.subject]
    if subjects != [(file.name, file.sha256)]:
        told = ", ".join(f"`{sanitize(name, 100)}`" for name, _ in subjects[:3]) or "no file"
        raise UploadRefused(
            "attestation-mismatch",
            f"an attestation is about {told}, and not about `{file.name}` with its sha256",
        )
    return statement


def _check_predicates(statements: Iterable[Statement]) -> None:
    known: set[str] = set()
    for statement in statements:
        if statement.predicate_type in known:
            raise _invalid(f"two attestations of `{sanitize(statement.predicate_type, 100)}`")
        known.add(statement.predicate_type)


def _publishers(attestations: Iterable[msgspec.Raw], file: UploadedFile) -> list[Publisher]:
    """Return the publisher of each attestation, verified where that is possible here."""
    if find_spec(LIBRARY) is None:
        return [UNVERIFIED for _ in attestations]
    try:
        library = verifying_library()
        return [_verified(library, raw, file) for raw in attestations]
    except UploadRefused:
        raise
    except Exception as error:
        # Cryptography, ASN.1 and X.509 over foreign bytes, each with its own errors.
        raise _unverified(error_line(error)) from None


def _verified(library: Any, raw: msgspec.Raw, file: UploadedFile) -> Publisher:
    attestation = library.Attestation.model_validate_json(bytes(raw))
    publisher = claimed_publisher(attestation)
    if publisher is None:
        raise _unverified("its certificate names no publisher of a known kind")
    bundle = library.AttestationBundle.model_validate({"publisher": publisher, "attestations": []})
    signed = library.Distribution(name=file.name, digest=file.sha256)
    attestation.verify(bundle.publisher, signed, offline=True)
    return publisher


def _invalid(problem: str) -> UploadRefused:
    return UploadRefused("invalid-attestations", f"the field `attestations`: {problem} (PEP 740)")


def _unverified(problem: str) -> UploadRefused:
    return UploadRefused(
        "unverified-attestation",
        f"an attestation does not verify: {problem}",
        hint="send the file without attestations, or sign it again",
    )
