"""Lists of wheel variants (PEP 825) go with the variant wheels of their release.

The kind: a file that a page links beside distributions, and that a rule about distributions takes
for one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from packaging.version import Version

from reconciler.plugin import Unit
from reconciler_python.content import Distribution
from reconciler_python.matching.wheel_tags import variant_label
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.documents import read_project_json
from reconciler_python.reading.filenames import FilenameReader, UnreadableFilename
from reconciler_python.reading.units import project_units
from tests.support.conduits import page
from tests.support.selecting import NOW, decide, house_rules, kept, unit

JSON = "application/vnd.pypi.simple.v1+json"
PLAIN, VARIANT = "-py3-none-any.whl", "-cp312-cp312-linux_x86_64-x86_64_v3.whl"
LIST = "-variants.json"


def variants(version: str, *endings: str) -> list[Unit]:
    """Files of one release; the list of its variants says so of itself."""
    files = [unit(version, ending) for ending in (*endings, LIST)]
    files[-1].metadata["packageType"] = "variants"
    return files


def lists(decided: list[str]) -> list[str]:
    return [name for name in decided if name.endswith(LIST)]


def test_a_page_with_a_list_of_variants_gives_a_unit() -> None:
    entry = {
        "filename": "foo-1.0-variants.json",
        "url": "foo-1.0-variants.json",
        "hashes": {"sha256": "a" * 64},
    }
    body = {"meta": {"api-version": "1.4"}, "name": "foo", "files": [entry]}
    answer = page(json.dumps(body), JSON)
    document = read_project_json(answer)
    refused: dict[str, str] = {}
    [listed] = project_units("foo", document, answer.url, refuse=refused.__setitem__)
    assert not refused
    assert listed.metadata["packageType"] == "variants"
    assert (listed.key, listed.metadata["version"]) == ("foo-1.0-variants.json", "1.0")
    assert Version(listed.metadata["version"])
    with pytest.raises(UnreadableFilename):
        FilenameReader("bar").read("foo-1.0-variants.json")


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"packageTypes": ["wheel"]},
        {"minAge": {"age": "7d", "unknown": "allow"}},
        {"licenses": {"allow": ["MIT"], "unknown": "allow"}},
        {"platforms": ["linux_x86_64"]},
        {"latest": 1},
        {"allow": ["django==2.0"]},
    ],
    ids=str,
)
def test_no_rule_about_distributions_keeps_a_list_from_its_wheels(keys: dict[str, Any]) -> None:
    units = [*variants("1.0", PLAIN), *variants("2.0", PLAIN, VARIANT)]
    assert lists(kept(units, house_rules(**keys), include=["django"])) == [
        "django-2.0-variants.json"
    ]


def test_a_list_without_its_wheels_is_out_and_counts_for_no_release() -> None:
    units = [*variants("1.0", VARIANT), *variants("2.0")]
    rules = house_rules(latest=1)
    assert lists(kept(units, rules)) == ["django-1.0-variants.json"]
    reasons = {decision.unit.key: decision.reason for decision in decide(units, rules)}
    assert reasons["django-2.0-variants.json"] == "no wheel variant of its release is taken"
    assert lists(kept(units, house_rules(deny=["django"]))) == []
    for options in (None, SelectionOptions()):
        [chain] = Distribution.trace("django", units, units[-1:], options, [rules], NOW)
        assert [step.passed for step in chain] == [False]


def test_upstream_may_replace_a_list_and_no_distribution() -> None:
    before, after = variants("1.0", PLAIN), variants("1.0", PLAIN)
    for old, new, refused in zip(before, after, (True, False), strict=True):
        new.artifacts[0] = type(new.artifacts[0])(new.key, "b" * 64, 1)
        assert bool(Distribution.refuse_replacement(old, new, SelectionOptions())) is refused  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filename", "label"),
    [
        ("foo-1.0-py3-none-any.whl", None),
        ("foo-1.0-1-py3-none-any.whl", None),
        ("foo-1.0-py3-none-any-null.whl", "null"),
        ("foo-1.0-1-py3-none-any-x86_64_v3.whl", "x86_64_v3"),
        ("foo-1.0.tar.gz", None),
    ],
)
def test_a_label_stands_after_the_tags(filename: str, label: str | None) -> None:
    assert variant_label(filename) == label
