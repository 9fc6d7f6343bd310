"""Attestations of uploads (PEP 740): checked, stored, served as the provenance object.

`attested_files/` holds real ones: a source distribution that GitLab signed, and what GitHub signed
of another, with the provenance object that the public index made of it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import UploadedFile
from reconciler_python.evidence.provenance import provenance_facts
from reconciler_python.uploads import attestations
from reconciler_python.uploads.attestations import provenance_object
from reconciler_python.uploads.refusals import UploadRefused
from tests.support.attested import attestation
from tests.support.own_index import MANIFEST, TOKEN, VARIABLE, OwnIndex, own_index
from tests.support.source import ROOT
from tests.support.wheels import Built, build_wheel

REAL = Path(__file__).with_name("attested_files")
GITLAB = "gitlab_oidc_project-0.0.3.tar.gz"
GITHUB = "pypi_attestations-0.0.19.tar.gz"
GITHUB_SHA256 = "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3"
FILE = UploadedFile("acme-1.0.tar.gz", Path("none"), 1, "ab" * 32)
TYPE = "application/vnd.pypi.integrity.v1+json"


def recorded(name: str) -> Any:
    return json.loads((REAL / name).read_bytes())


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attestations, "find_spec", lambda name: None)


@pytest.fixture
def library() -> None:
    pytest.importorskip("pypi_attestations", reason="pip install -e '.[dev]' brings it")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnIndex]:
    text = (ROOT / MANIFEST).read_text(encoding="utf-8")
    text = text.replace("  path: own\n", "  path: own\n  baseUrl: https://own.example.org/own/\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, TOKEN)
        with own_index(tmp_path_factory.mktemp("own"), text) as index:
            yield index


def code(field: str, file: UploadedFile = FILE) -> str:
    with pytest.raises(UploadRefused) as caught:
        provenance_object(field, file)
    assert caught.value.message
    return caught.value.code


def signed(name: str = FILE.name, sha256: str = FILE.sha256, **changes: Any) -> dict[str, Any]:
    return attestation(sha256, subject=[{"name": name, "digest": {"sha256": sha256}}], **changes)


def test_real_attestations_give_the_object_that_the_public_index_gives(library: None) -> None:
    field = [recorded(f"{GITHUB}.{kind}.attestation") for kind in ("publish", "slsa")]
    file = UploadedFile(GITHUB, Path("none"), 1, GITHUB_SHA256)
    [ours] = json.loads(provenance_object(json.dumps(field[:1]), file))["attestation_bundles"]
    [theirs] = recorded(f"{GITHUB}.provenance")["attestation_bundles"]
    theirs["publisher"].pop("environment")  # no certificate names it
    assert ours["publisher"] == theirs["publisher"]
    assert ours["attestations"] == theirs["attestations"] == field[:1]
    [both] = json.loads(provenance_object(json.dumps(field), file))["attestation_bundles"]
    assert both["attestations"] == field


@pytest.mark.parametrize("place", ["signature", "certificate"])
def test_what_does_not_verify_is_refused(library: None, place: str) -> None:
    real, other = (recorded(f"{name}.publish.attestation") for name in (GITHUB, GITLAB))
    if place == "signature":
        real["envelope"]["signature"] = other["envelope"]["signature"]
    else:
        real["verification_material"] = other["verification_material"]
    file = UploadedFile(GITHUB, Path("none"), 1, GITHUB_SHA256)
    assert code(json.dumps([real]), file) == "unverified-attestation"


def test_without_the_library_no_rule_matches_the_publisher(no_library: None) -> None:
    body = provenance_object(json.dumps([signed()]), FILE)
    facts = provenance_facts(body, FILE.name, FILE.sha256, verify=False)
    assert facts == {"publishers": [{"kind": "Unverified"}]}


def test_what_is_invented_does_not_verify(library: None) -> None:
    assert code(json.dumps([signed()])) == "unverified-attestation"


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("nonsense", "invalid-attestations"),
        ("[]", "invalid-attestations"),
        ("{}", "invalid-attestations"),
        ("[1]", "invalid-attestations"),
        ("[" * 100_000, "invalid-attestations"),
        (json.dumps([signed()] * 9), "invalid-attestations"),
        (json.dumps([signed(), signed()]), "invalid-attestations"),
        (json.dumps([signed() | {"version": 2}]), "invalid-attestations"),
        (json.dumps([signed(_type="https://in-toto.io/Statement/v2")]), "invalid-attestations"),
        (json.dumps([signed() | {"pad": "x" * 600_000}]), "invalid-attestations"),
        (json.dumps([signed("acme-1.1.tar.gz")]), "attestation-mismatch"),
        (json.dumps([signed(sha256="cd" * 32)]), "attestation-mismatch"),
        (json.dumps([attestation(FILE.sha256, subject=[])]), "attestation-mismatch"),
        (json.dumps([attestation(FILE.sha256)]), "attestation-mismatch"),
    ],
)
def test_each_part_is_checked_without_the_library_too(
    no_library: None, field: str, told: str
) -> None:
    assert code(field) == told


def test_a_statement_is_about_one_file(no_library: None) -> None:
    subject = {"name": FILE.name, "digest": {"sha256": FILE.sha256}}
    two = attestation(FILE.sha256, subject=[subject, subject])
    assert code(json.dumps([two])) == "attestation-mismatch"
    broken = signed()
    broken["envelope"]["statement"] = base64.b64encode(b"\xff").decode()
    assert code(json.dumps([broken])) == "invalid-attestations"


def test_the_object_is_stored_and_served(index: OwnIndex, library: None) -> None:
    content = (REAL / GITLAB).read_bytes()
    built = Built(GITLAB, content, b"")
    real = recorded(f"{GITLAB}.publish.attestation")
    fields = {"attestations": json.dumps([real])}
    assert index.send(built, fields).status == 200
    entry = index.files("gitlab-oidc-project")[GITLAB]
    base, path = entry["provenance"].split("/own/", 1)
    assert base == "https://own.example.org"
    answer = index.get(f"/own/{path}")
    assert answer.headers["content-type"] == TYPE
    [bundle] = json.loads(answer.body)["attestation_bundles"]
    assert bundle["attestations"] == [real]
    assert bundle["publisher"] == {
        "kind": "GitLab",
        "repository": "facutuesca/gitlab-oidc-project",
        "workflow_filepath": ".gitlab-ci.yml",
    }
    assert index.send(built).status == 200, "the same file again, without attestations"
    assert index.files("gitlab-oidc-project")[GITLAB] == entry


def test_a_refusal_takes_nothing_in_and_has_a_code(index: OwnIndex) -> None:
    built = build_wheel("acme-signed", "1.0")
    answer = index.send(built, {"attestations": "[1]"}, accept="application/json")
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "invalid-attestations")
    assert index.get("/own/simple/acme-signed/").status == 404
    assert index.send(built).status == 200
