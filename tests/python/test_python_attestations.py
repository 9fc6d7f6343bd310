"""`attestations:` of a Filter: accepted publishers, and parsing of provenance objects."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from reconciler.plugin import Unit
from reconciler_python.evidence import attestations
from reconciler_python.evidence.attestations import (
    AttestationRules,
    attestation_reason,
    attestation_text,
)
from reconciler_python.evidence.provenance import LARGEST, provenance_facts
from reconciler_python.options.filter_options import FilterOptions
from tests.support.attested import GITHUB, attestation, provenance, verifier

FILE = "acme-1.0-py3-none-any.whl"
SHA256 = "ab" * 32


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = verifier()
    monkeypatch.setitem(sys.modules, "pypi_attestations", module)
    monkeypatch.setattr(attestations, "find_spec", lambda name: object())
    return module


def rules(value: Any) -> AttestationRules:
    found = FilterOptions.model_validate_json(json.dumps({"attestations": value})).attestations
    assert found is not None
    return found


def reason(value: Any, facts: dict[str, Any]) -> str | None:
    return attestation_reason(
        Unit("python.distribution", FILE, {"_attestation": facts}), rules(value)
    )


def facts(body: bytes, *, verify: bool = False) -> dict[str, Any]:
    return provenance_facts(body, FILE, SHA256, verify=verify)


class TestPublishers:
    def test_required(self) -> None:
        for value in ("required", {}, {"required": True}, {"publishers": ["GitHub:acme/app"]}):
            assert reason(value, {}) == "no attestation"
            assert (
                attestation_reason(Unit("python.distribution", FILE, {}), rules(value))
                == "no attestation"
            )
            assert reason(value, facts(provenance(SHA256, GITHUB))) is None
            assert reason(value, {"unasked": True}) is None

    def test_not_required_means_that_an_attestation_which_is_there_must_be_fine(self) -> None:
        value = {"required": False, "publishers": ["GitHub:acme/app"]}
        assert reason(value, {}) is None
        assert (
            reason(value, facts(provenance(SHA256, GITHUB | {"repository": "evil/app"})))
            == "attested by GitHub:evil/app release.yml pypi"
        )
        assert not rules({"required": False}).asks
        assert reason({"required": False}, {"problem": "odd"}) is None

    @pytest.mark.parametrize(
        ("publisher", "passes"),
        [
            ("GitHub:acme/app", True),
            ("GitHub:Acme/APP", True),
            ("GitLab:acme/app", False),
            ("GitHub:acme/app2", False),
            ("GitHub:acme", False),
            ({"kind": "GitHub", "repository": "acme/app", "workflow": "release.yml"}, True),
            ({"kind": "GitHub", "repository": "acme/app", "workflow": "Release.yml"}, False),
            ({"kind": "GitHub", "repository": "acme/app", "environment": "pypi"}, True),
            (
                {
                    "kind": "GitHub",
                    "repository": "acme/app",
                    "workflow": "release.yml",
                    "environment": "prod",
                },
                False,
            ),
            ("Google:acme/app", False),
        ],
    )
    def test_everything_that_is_written_must_be_so(self, publisher: Any, passes: bool) -> None:
        found = reason({"publishers": [publisher]}, facts(provenance(SHA256, GITHUB)))
        assert found == (None if passes else "attested by GitHub:acme/app release.yml pypi")

    def test_other_kinds(self) -> None:
        gitlab = {
            "kind": "GitLab",
            "repository": "acme/deep/app",
            "workflow_filepath": ".gitlab-ci.yml",
        }
        google = {"kind": "Google", "email": "builder@example.org"}
        circle = {
            "kind": "CircleCI",
            "project_id": "p",
            "pipeline_definition_id": "d",
            "vcs_ref": "refs/heads/main",
        }
        body = facts(provenance(SHA256, gitlab, google, circle))
        assert (
            reason(
                {
                    "publishers": [
                        {
                            "kind": "GitLab",
                            "repository": "acme/deep/app",
                            "workflow": ".gitlab-ci.yml",
                        }
                    ]
                },
                body,
            )
            is None
        )
        assert reason({"publishers": ["Google:builder@example.org"]}, body) is None
        assert (
            reason(
                {
                    "publishers": [
                        {"kind": "CircleCI", "projectId": "p", "pipelineDefinitionId": "d"}
                    ]
                },
                body,
            )
            is None
        )
        assert (
            reason(
                {
                    "publishers": [
                        {"kind": "CircleCI", "projectId": "p", "pipelineDefinitionId": "x"}
                    ]
                },
                body,
            )
            is not None
        )
        assert (
            reason(
                {"publishers": ["GitHub:acme/app"]},
                facts(provenance(SHA256, {"kind": "Sesame\nStreet"})),
            )
            == r"attested by Sesame\nStreet"
        )

    def test_one_fine_publisher_is_enough(self) -> None:
        body = facts(provenance(SHA256, GITHUB | {"repository": "evil/app"}, GITHUB))
        assert reason({"publishers": ["GitHub:acme/app"]}, body) is None

    @given(
        st.lists(
            st.sampled_from(["GitHub:acme/app", "GitHub:x/y", "Google:a@example.org"]), min_size=1
        ),
        st.booleans(),
    )
    def test_more_publishers_never_refuse_more(self, publishers: list[str], required: bool) -> None:
        for found in ({}, facts(provenance(SHA256, GITHUB))):
            few = reason({"publishers": publishers[:1], "required": required}, found)
            many = reason({"publishers": publishers, "required": required}, found)
            assert few is not None or many is None
            assert many == reason({"publishers": publishers[::-1], "required": required}, found)

    def test_what_passes_says_why(self, library: Any) -> None:
        def word(value: Any, found: dict[str, Any]) -> str:
            assert reason(value, found) is None
            return attestation_text(
                Unit("python.distribution", FILE, {"_attestation": found}), rules(value)
            )

        named = "attested by GitHub:acme/app release.yml pypi"
        assert word("required", facts(provenance(SHA256, GITHUB))) == named
        assert (
            word(
                {"verify": True},
                facts(provenance(SHA256, GITHUB, signature="acme/app"), verify=True),
            )
            == f"{named}, verified"
        )
        assert (
            word({"required": False, "verify": True}, {}) == "no attestation, and none is required"
        )
        assert word({"required": False}, {}) == "attestation not asked"
        assert word("required", {"unasked": True}) == "attestation not asked: another rule decides"


class TestProvenance:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"[]",
            b'{"version": 2, "attestation_bundles": []}',
            b'{"version": 1, "attestation_bundles": []}',
            (
                b'{"version": 1, "attestation_bundles": [{"publisher": {"kind": "GitHub"},'
                b' "attestations": []}]}'
            ),
            provenance(SHA256, {"repository": "no/kind"}),
            provenance(SHA256, {"kind": "GitHub", "repository": 5}),
            provenance("cd" * 32, GITHUB),
            provenance(SHA256.upper(), GITHUB),
            provenance(SHA256, GITHUB).replace(b'"version": 1, "verif', b'"version": 3, "verif'),
            provenance(SHA256, GITHUB).replace(b'"signature"', b'"Signature"'),
            provenance(SHA256, *[GITHUB] * 65),
            json.dumps(
                {
                    "version": 1,
                    "attestation_bundles": [
                        {"publisher": GITHUB, "attestations": [attestation(SHA256, subject=[])]}
                    ],
                }
            ).encode(),
            json.dumps(
                {
                    "version": 1,
                    "attestation_bundles": [
                        {"publisher": GITHUB, "attestations": [attestation(SHA256, _type="x")]}
                    ],
                }
            ).encode(),
            json.dumps(
                {
                    "version": 1,
                    "attestation_bundles": [
                        {"publisher": GITHUB, "attestations": [attestation(SHA256, subject={})]}
                    ],
                }
            ).encode(),
            b'{"version": 1, "attestation_bundles": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
            b" " * (LARGEST + 1),
            b"\xff",
        ],
    )
    def test_what_is_not_as_the_standard_says_says_nothing(self, body: bytes) -> None:
        found = facts(body)
        assert found.keys() == {"problem"}
        for value in ("required", {"required": False, "publishers": ["GitHub:acme/app"]}):
            words = reason(value, found)
            assert words is not None
            assert words.startswith("attestation unreadable: ")
            assert words.isprintable()

    def test_two_subjects_are_no_subject(self) -> None:
        two = [{"digest": {"sha256": SHA256}}, {"digest": {"sha256": "cd" * 32}}]
        bundle = {
            "publisher": GITHUB,
            "attestations": [attestation(SHA256), attestation(SHA256, subject=two)],
        }
        assert facts(json.dumps({"version": 1, "attestation_bundles": [bundle]}).encode()) == {
            "problem": "it is about another file"
        }

    @given(
        st.binary(max_size=200)
        | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
            lambda value: json.dumps(value).encode()
        )
    )
    def test_whatever_upstream_sends_raises_nothing(self, body: bytes) -> None:
        assert "problem" in facts(body)


class TestVerification:
    def test_signatures_of_the_named_publisher_pass(self, library: Any) -> None:
        found = facts(provenance(SHA256, GITHUB, signature="acme/app"), verify=True)
        assert library.asked == [(GITHUB, FILE, SHA256, True)]
        assert reason({"verify": True}, found) is None
        assert reason({"verify": True, "publishers": ["GitHub:acme/app"]}, found) is None

    def test_a_signature_of_somebody_else_does_not(self, library: Any) -> None:
        found = facts(provenance(SHA256, GITHUB, signature="evil/app"), verify=True)
        words = (
            "attestation of GitHub:acme/app release.yml pypi does not verify: the certificate is"
            " somebody else's"
        )
        assert reason({"verify": True}, found) == words
        assert reason({"required": False, "verify": True}, found) == words
        assert reason("required", found) is None

    def test_another_publisher_that_verifies_does_not_help_the_one_that_is_asked_for(
        self, library: Any
    ) -> None:
        found = facts(
            provenance(SHA256, GITHUB, GITHUB | {"repository": "evil/app"}, signature="evil/app"),
            verify=True,
        )
        assert [each["verified"] for each in found["publishers"]] == [False, True]
        assert "does not verify" in (
            reason({"verify": True, "publishers": ["GitHub:acme/app"]}, found) or ""
        )

    def test_every_attestation_of_a_publisher_must_verify(self, library: Any) -> None:
        both = [attestation(SHA256, signature="acme/app"), attestation(SHA256, signature="forged")]
        body = json.dumps(
            {"version": 1, "attestation_bundles": [{"publisher": GITHUB, "attestations": both}]}
        ).encode()
        assert facts(body, verify=True)["publishers"][0]["verified"] is False

    def test_what_nobody_verified_is_not_verified(self, library: Any) -> None:
        words = "attestation of GitHub:acme/app release.yml pypi does not verify: not checked"
        assert (
            reason({"verify": True}, facts(provenance(SHA256, GITHUB, signature="acme/app")))
            == words
        )

    def test_without_the_library_the_manifest_is_at_fault(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attestations, "find_spec", lambda name: None)
        with pytest.raises(ValidationError, match="`pypi-attestations` is not installed"):
            rules({"verify": True})
        assert rules({"verify": False}).required


class TestOptions:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("optional", "`optional` says nothing about attestations"),
            (True, "`true` says nothing about attestations"),
            (False, "`false` says nothing about attestations"),
            ({"publishers": ["acme/app"]}, "`acme/app` names no publisher"),
            ({"publishers": ["Sesame:acme/app"]}, "`Sesame:acme/app` names no publisher"),
            ({"publishers": ["GitHub:"]}, "`GitHub:` names no publisher"),
            (
                {"publishers": [{"kind": "GitHub"}]},
                "a publisher of kind `GitHub` needs `repository`",
            ),
            (
                {"publishers": [{"kind": "Google", "email": "a@example.org", "workflow": "x"}]},
                "a publisher of kind `Google` has no `workflow`",
            ),
            (
                {"publishers": [{"kind": "CircleCI", "pipelineDefinitionId": "x"}]},
                "needs `projectId`",
            ),
            ({"required": "yes"}, "valid boolean"),
            ({"signed": True}, "Extra inputs"),
            (["required"], "should be an object"),
        ],
    )
    def test_faults(self, value: Any, words: str) -> None:
        with pytest.raises(ValidationError) as fault:
            rules(value)
        assert words in str(fault.value)

    def test_a_short_form_is_its_long_form(self) -> None:
        assert rules("required") == rules({"required": True})
        assert rules({"publishers": ["GitLab:acme/app"]}) == rules(
            {"publishers": [{"kind": "GitLab", "repository": "acme/app"}]}
        )
        assert rules({"publishers": ["CircleCI:p"]}).publishers[0].project_id == "p"

    def test_the_schema_knows_both_forms(self) -> None:
        schema = TypeAdapter(AttestationRules).json_schema()
        short, full = schema["anyOf"]
        assert short == {"const": "required", "type": "string"}
        assert set(full["properties"]) == {"required", "publishers", "verify"}
        assert [each.get("type") for each in schema["$defs"]["PublisherRule"]["anyOf"]] == [
            "string",
            "object",
        ]
