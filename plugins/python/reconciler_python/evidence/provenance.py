"""Provenance objects (PEP 740): publishers as the index names them, and signatures.

Hostile until parsed, and parsed strictly: an object with one part that violates PEP 740 proves
nothing. It is about one file: every attestation must name that file's sha256, signatures or not.
"""

from __future__ import annotations

import base64
import logging
from importlib import import_module
from typing import Any, Final, Literal

import msgspec

from reconciler.plugin import sanitize

PROVENANCE_ENDING: Final = ".provenance"
LARGEST: Final = 4 * 1024 * 1024  # bytes; real ones have some 10,000
_MOST: Final = 64  # attestations of one file, each of which takes milliseconds to verify


class _Publisher(msgspec.Struct, omit_defaults=True):
    """The identity of a publisher of a listed kind; other kinds have only a name."""

    kind: str
    repository: str | None = None
    workflow: str | None = None
    workflow_filepath: str | None = None
    environment: str | None = None
    email: str | None = None
    project_id: str | None = None
    pipeline_definition_id: str | None = None


class _Envelope(msgspec.Struct):
    statement: str
    signature: str


class _Material(msgspec.Struct):
    certificate: str
    transparency_entries: list[msgspec.Raw]


class Attestation(msgspec.Struct):
    """One attestation, as far as it is read here."""

    version: Literal[1]
    verification_material: _Material
    envelope: _Envelope


class _Bundle(msgspec.Struct):
    publisher: msgspec.Raw
    attestations: list[msgspec.Raw]


class _Provenance(msgspec.Struct):
    version: Literal[1]
    attestation_bundles: list[_Bundle]


class _Subject(msgspec.Struct):
    digest: dict[str, str]
    name: str = ""


class Statement(msgspec.Struct, rename={"type": "_type", "predicate_type": "predicateType"}):
    """The signed text: a predicate about files."""

    type: Literal["https://in-toto.io/Statement/v1"]
    predicate_type: str
    subject: list[_Subject]


class InvalidProvenance(ValueError):
    """Raised for JSON that violates PEP 740."""


def provenance_facts(body: bytes, filename: str, sha256: str, *, verify: bool) -> dict[str, Any]:
    """Return the facts of a provenance object: a value for ATTESTATION_FACTS.

    Raises nothing: an unreadable object gives a `problem`. With `verify` each publisher has
    `verified`: True if all its attestations carry signatures of its own; otherwise `problem` gives
    the reason.
    """
    try:
        return {
            "publishers": [
                _publisher(bundle, filename, sha256, verify=verify) for bundle in _bundles(body)
            ]
        }
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidProvenance) as error:
        return {"problem": error_line(error)}
    except RecursionError:
        return {"problem": "it is nested too deeply"}


def _bundles(body: bytes) -> list[_Bundle]:
    if len(body) > LARGEST:
        raise InvalidProvenance(f"it has more than {LARGEST:,} bytes")
    bundles = msgspec.json.decode(body, type=_Provenance).attestation_bundles
    if not bundles or not all(bundle.attestations for bundle in bundles):
        raise InvalidProvenance("it holds no attestation, or a publisher without one")
    if sum(len(bundle.attestations) for bundle in bundles) > _MOST:
        raise InvalidProvenance(f"it holds more than {_MOST} attestations")
    return bundles


def _publisher(bundle: _Bundle, filename: str, sha256: str, *, verify: bool) -> dict[str, Any]:
    publisher = msgspec.json.decode(bundle.publisher, type=_Publisher)
    for raw in bundle.attestations:
        _check_subject(msgspec.json.decode(raw, type=Attestation), sha256)
    facts: dict[str, Any] = msgspec.to_builtins(publisher)
    workflow = facts.pop("workflow_filepath", None)
    if workflow is not None:
        facts["workflow"] = workflow  # a workflow in a file is one, whatever the service calls it
    if verify:
        problem = _unverified(bundle, filename, sha256)
        facts |= {"verified": problem is None} | ({"problem": problem} if problem else {})
    return facts


def _check_subject(attestation: Attestation, sha256: str) -> None:
    if [subject.digest.get("sha256") for subject in statement_of(attestation).subject] != [sha256]:
        raise InvalidProvenance("it is about another file")


def statement_of(attestation: Attestation) -> Statement:
    """Return what is signed, unverified.

    Raises InvalidProvenance or MsgspecError where that cannot be read.
    """
    try:
        body = base64.b64decode(attestation.envelope.statement, validate=True)
        return msgspec.json.decode(body, type=Statement)
    except msgspec.MsgspecError:
        raise
    except ValueError:  # binascii.Error, or characters that are not ASCII
        raise InvalidProvenance("its statement is no base64") from None


def _unverified(bundle: _Bundle, filename: str, sha256: str) -> str | None:
    """Return why the attestations are not the publisher's; None where they are.

    No network: the trust root comes with the library.
    """
    try:
        library = verifying_library()
        read = library.AttestationBundle.model_validate_json(
            b'{"publisher":%b,"attestations":[]}' % bytes(bundle.publisher)
        )
        file = library.Distribution(name=filename, digest=sha256)
        for raw in bundle.attestations:
            library.Attestation.model_validate_json(bytes(raw)).verify(
                read.publisher, file, offline=True
            )
    except Exception as error:
        # Cryptography, ASN.1 and X.509 over foreign bytes, each with its own errors; or a broken
        # installation.
        return error_line(error)
    return None


def verifying_library() -> Any:
    """Import and return the library that verifies. Raises ImportError where it is missing."""
    logging.getLogger("sigstore").setLevel(
        logging.ERROR
    )  # it warns that it is offline, each time, which is what is asked of it
    return import_module("pypi_attestations")


def error_line(error: Exception) -> str:
    """Return the first line of an error, for one line of a plan."""
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    return sanitize(first.removeprefix("Verification failed: "), 200)
