"""Publishers as the certificates of attestations name them.

A certificate of Sigstore says in extensions which workflow it was issued to, at which commit. Until
the attestation is verified against the publisher so read, that is only a claim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

__all__ = ["claimed_publisher"]

_ARC: Final = "1.3.6.1.4.1.57264.1."  # extensions of Fulcio; the numbers below continue it
_ISSUER: Final = f"{_ARC}8"
_BUILD_SIGNER: Final = f"{_ARC}9"
_BUILD_CONFIG: Final = f"{_ARC}18"
_GITHUB: Final = re.compile(r"https://github\.com/([^/@]+/[^/@]+)/\.github/workflows/([^/@]+)@.+")
_GITLAB: Final = re.compile(r"https://gitlab\.com/([^@]+?)//([^@]+)@.+")
_CIRCLECI: Final = re.compile(
    r"https://circleci\.com/api/v2/projects/([^/]+)/pipeline-definitions/([^/]+)"
)

Publisher = dict[str, Any]


def claimed_publisher(attestation: Any) -> Publisher | None:
    """Return the publisher that an attestation of the library claims; None for no known kind."""
    claims: Mapping[str, str] = attestation.certificate_claims
    read = _READERS.get(claims.get(_ISSUER, ""))
    return None if read is None else read(claims, attestation)


def _github(claims: Mapping[str, str], attestation: Any) -> Publisher | None:
    match = _GITHUB.fullmatch(claims.get(_BUILD_CONFIG, ""))
    return match and {"kind": "GitHub", "repository": match[1], "workflow": match[2]}


def _gitlab(claims: Mapping[str, str], attestation: Any) -> Publisher | None:
    match = _GITLAB.fullmatch(claims.get(_BUILD_CONFIG, ""))
    return match and {"kind": "GitLab", "repository": match[1], "workflow_filepath": match[2]}


def _circleci(claims: Mapping[str, str], attestation: Any) -> Publisher | None:
    match = _CIRCLECI.fullmatch(claims.get(_BUILD_SIGNER, ""))
    return match and {
        "kind": "CircleCI",
        "project_id": match[1],
        "pipeline_definition_id": match[2],
    }


def _google(claims: Mapping[str, str], attestation: Any) -> Publisher | None:
    x509 = import_module("cryptography.x509")
    certificate = x509.load_der_x509_certificate(
        bytes(attestation.verification_material.certificate)
    )
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    emails = names.get_values_for_type(x509.RFC822Name)
    return {"kind": "Google", "email": emails[0]} if len(emails) == 1 else None


_READERS: Final[Mapping[str, Callable[[Mapping[str, str], Any], Publisher | None]]] = {
    "https://token.actions.githubusercontent.com": _github,
    "https://gitlab.com": _gitlab,
    "https://oidc.circleci.com": _circleci,
    "https://accounts.google.com": _google,
}
