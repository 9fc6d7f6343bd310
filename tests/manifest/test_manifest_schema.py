"""The JSON Schema that editors get, and faults for machines."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from reconciler import manifest
from reconciler.errors import Fault, Origin
from reconciler.manifest.kinds import SOURCES, PublicationSpec
from reconciler.manifest.validation_messages import keys
from reconciler.model import PUBLICATION_KEYS, SOURCE_KEYS
from tests.manifest.conftest import GOLDEN
from tests.support.quotes import registry


@pytest.fixture
def composed() -> dict[str, Any]:
    return manifest.schema(registry())


def test_every_reference_in_the_schema_leads_somewhere(composed: dict[str, Any]) -> None:
    text = msgspec.json.encode(composed).decode()
    references = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert references
    assert references <= composed["$defs"].keys()


def test_the_schema_offers_the_keys_of_the_core_and_of_the_plugin(composed: dict[str, Any]) -> None:
    definitions = composed["$defs"]
    assert set(definitions["Filter.quotes"]["properties"]) == {
        "type",
        "global",
        "deny",
        "maxSize",
        "minAge",
    }
    source = definitions["Repository.quotes"]["properties"]["sources"]["items"]["properties"][
        "remote"
    ]
    assert set(source["properties"]) == {"name", "include", "exclude"}
    assert source["required"] == ["name"]
    entry = definitions["Repository.quotes"]["properties"]["sources"]["items"]
    assert set(entry["properties"]["repository"]["properties"]) == {
        "name",
        "version",
        "include",
        "exclude",
    }
    assert set(entry["properties"]["upload"]["properties"]) == {
        "names",
        "reuseNames",
        "include",
        "exclude",
    }
    assert entry["oneOf"] == [{"required": [kind]} for kind in ("remote", "repository", "upload")]
    assert set(definitions["core.UploaderSpec"]["properties"]) == {
        "token",
        "oidc",
        "tokenDigest",
        "username",
        "password",
        "projects",
        "expires",
    }
    assert set(definitions["Publication.quotes"]["properties"]) == {
        "repository",
        "version",
        "path",
        "publisher",
        "filters",
        "access",
        "exports",
        "quarantined",
        "grace",
        "baseUrl",
        "pullThrough",
        "title",
    }
    assert definitions["Remote.quotes"]["properties"]["index"] == {"enum": ["famous"]}
    assert definitions["Filter.quotes"]["properties"]["minAge"]["pattern"] == "^(\\d{1,9})([smhd])$"
    assert all(
        definitions[f"{kind}.quotes"]["additionalProperties"] is False
        for kind in ("Remote", "Filter", "Repository", "Publication")
    )


def test_the_schema_chooses_by_kind_and_type(composed: dict[str, Any]) -> None:
    assert composed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    by_kind = {
        case["if"]["properties"]["kind"]["const"]: case["then"]["properties"]["spec"]
        for case in composed["allOf"]
    }
    assert list(by_kind) == ["Remote", "Filter", "Repository", "Publication"]
    for kind in ("Remote", "Filter", "Repository"):
        (case,) = by_kind[kind]["allOf"]
        assert case["if"]["properties"]["type"] == {"const": "quotes"}
        assert case["then"] == {"$ref": f"#/$defs/{kind}.quotes"}


def test_what_reads_well_fits_the_schema_and_what_does_not_is_seen(
    composed: dict[str, Any],
) -> None:
    fastjsonschema = pytest.importorskip("fastjsonschema")
    fits = fastjsonschema.compile(
        {**composed, "$schema": "http://json-schema.org/draft-07/schema#"}
    )
    text = (GOLDEN / "sound.yaml").read_text(encoding="utf-8")
    documents = [document for document in yaml.safe_load_all(text) if document]
    assert len(documents) == 9
    for document in documents:
        fits(document)
        with pytest.raises(fastjsonschema.JsonSchemaException):
            fits({**document, "spec": {**document["spec"], "publisher": "quotes", "nonsense": 1}})
        with pytest.raises(fastjsonschema.JsonSchemaException):
            fits({**document, "kind": "Else"})


FAULTS = [
    Fault(Origin("a,b:c.yaml", 3, 7), "100% wrong", "try\nagain"),
    Fault(Origin("d.yaml", 1), "empty"),
]


def test_faults_annotations_of_a_pull_request() -> None:
    assert manifest.annotations(FAULTS).splitlines() == [
        "::error file=a%2Cb%3Ac.yaml,line=3,col=7::100%25 wrong%0Ahint: try%0Aagain",
        "::error file=d.yaml,line=1,col=1::empty",
    ]


def test_faults_as_data() -> None:
    assert manifest.as_json(FAULTS) == [
        {
            "file": "a,b:c.yaml",
            "line": 3,
            "column": 7,
            "message": "100% wrong",
            "hint": "try\nagain",
        },
        {"file": "d.yaml", "line": 1, "column": 1, "message": "empty"},
    ]


def test_the_core_s_keys_in_the_model_are_those_of_the_manifests() -> None:
    assert set(keys(PublicationSpec)) == PUBLICATION_KEYS
    assert {key for model in SOURCES.values() for key in keys(model)} == SOURCE_KEYS
