"""Provenance objects (PEP 740) for tests, and a stand-in for the library that verifies them.

The stand-in has the calls that we make of `pypi-attestations`, and believes a signature that is the
word of its publisher.
"""

from __future__ import annotations

import base64
import json
from types import ModuleType
from typing import Any

GITHUB = {
    "kind": "GitHub",
    "repository": "acme/app",
    "workflow": "release.yml",
    "environment": "pypi",
}


def attestation(sha256: str, *, signature: str = "", **changes: Any) -> dict[str, Any]:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "any", "digest": {"sha256": sha256}}],
        "predicateType": "https://docs.example.org/attestations/publish/v1",
        "predicate": None,
    }
    envelope = {
        "statement": base64.b64encode(json.dumps(statement | changes).encode()).decode(),
        "signature": signature,
    }
    return {
        "version": 1,
        "verification_material": {"certificate": "AA==", "transparency_entries": [{}]},
        "envelope": envelope,
    }


def provenance(sha256: str, *publishers: dict[str, Any], signature: str = "") -> bytes:
    """One bundle a publisher, each with one attestation of the file."""
    bundles = [
        {"publisher": each, "attestations": [attestation(sha256, signature=signature)]}
        for each in publishers
    ]
    return json.dumps({"version": 1, "attestation_bundles": bundles}).encode()


def verifier() -> ModuleType:
    """A module `pypi_attestations`. `asked`: (publisher, filename, sha256, offline) of every
    verification.
    """
    module: Any = ModuleType("pypi_attestations")
    module.asked = []

    class Parsed:
        def __init__(self, **fields: Any) -> None:
            self.__dict__ |= fields

        @classmethod
        def model_validate_json(cls, body: bytes) -> Any:
            return cls(**json.loads(body))

    class Attestation(Parsed):
        def verify(
            self, identity: Any, dist: Any, *, staging: bool = False, offline: bool = False
        ) -> tuple[str, None]:
            module.asked.append((identity, dist.name, dist.digest, offline))
            if self.envelope["signature"] != identity.get("repository"):  # type: ignore[attr-defined]
                raise ValueError(
                    "Verification failed: the certificate is somebody else's\nand more"
                )
            return "predicate", None

    module.Attestation, module.AttestationBundle, module.Distribution = (
        Attestation,
        type("AttestationBundle", (Parsed,), {}),
        type("D", (Parsed,), {}),
    )
    return module  # type: ignore[no-any-return]
