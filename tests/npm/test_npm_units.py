"""Units of npm packages: what is taken of a packument and of a tarball, and what is shown of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import ActiveFilter, Malformed, Refused, Unit
from reconciler_npm.content import Package
from reconciler_npm.documents import dist_tags, full_packument, short_packument
from reconciler_npm.options import FilterOptions, SourceOptions
from reconciler_npm.packuments import packument_units
from reconciler_npm.ranges import parse_selector, version_key
from reconciler_npm.tarballs import read_tarball
from tests.support.conduits import stored
from tests.support.npm import integrity, packument, tarball, version

BASE = "https://npm.example.org/left-pad"
NOW = datetime(2026, 1, 8, tzinfo=UTC)


def unexpected(key: str, reason: str) -> None:
    pytest.fail(f"{key}: {reason}")


def units(*numbers: str, **tags: str) -> list[Unit]:
    document = packument("left-pad", *(version("left-pad", each) for each in numbers), **tags)
    return packument_units("left-pad", document, BASE, refuse=unexpected)


def house(options: FilterOptions) -> ActiveFilter[FilterOptions]:
    return ActiveFilter("house", options, "site.yaml:1")


def refusals(*versions: dict[str, Any]) -> dict[str, str]:
    refused: dict[str, str] = {}
    packument_units("left-pad", packument("left-pad", *versions), BASE, refuse=refused.__setitem__)
    return refused


def taken(include: str, *numbers: str, latest: int | None = None, **tags: str) -> list[str]:
    options = SourceOptions(include=(include,), latest=latest)
    decisions = Package.select("left-pad", units(*numbers, **tags), options, [], NOW)
    return [each.unit.metadata["version"] for each in decisions if each.accepted]


def test_ranges_and_tags_select_as_npm_does() -> None:
    numbers = "1.1.0", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0"
    assert taken("left-pad@^1.2", *numbers) == ["1.9.0", "1.10.0"]
    assert taken("left-pad", *numbers, latest=2) == ["1.10.0", "2.0.0"]
    assert taken("left-pad@next", *numbers, next="2.0.0-rc.1") == ["2.0.0-rc.1"]
    assert taken("left-pad@>=2.0.0-rc.0", *numbers) == ["2.0.0-rc.1", "2.0.0"]


@pytest.mark.parametrize("text", ["", "@example/*", "left-pad@^^", "../x", "-", "a/b", "@a"])
def test_a_selector_that_names_no_package_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_selector(text)


def test_versions_are_ordered_as_semver_orders_them() -> None:
    mixed = ["1.10.0", "1.0.0", "1.0.0-rc.10", "1.2.0", "1.0.0-rc.2", "1.0.0-rc", "1.0.0-1"]
    ordered = ["1.0.0-1", "1.0.0-rc", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0", "1.2.0", "1.10.0"]
    assert sorted(mixed, key=version_key) == ordered


def test_filters_keep_out_what_is_denied_deprecated_or_young() -> None:
    deprecated = version("left-pad", "1.0.0", deprecated="no")
    document = packument("left-pad", deprecated, version("left-pad", "1.1.0"))
    rules = FilterOptions(deny=("left-pad@>=1.1",), deprecated=False)
    young = FilterOptions.model_validate({"minAge": "7d"})
    made = packument_units("left-pad", document, BASE, refuse=unexpected)
    assert [
        (each.accepted, each.reason)
        for options in (rules, young)
        for each in Package.select(
            "left-pad", made, None, [ActiveFilter("house", options, "site.yaml:1")], NOW
        )
    ] == [
        (False, "deprecated (house.deprecated)"),
        (False, "denied (house.deny)"),
        *[(False, "published 2026-01-05, eligible 2026-01-12 (house.minAge)")] * 2,
    ]


def test_what_cannot_be_verified_or_named_is_refused_by_name() -> None:
    """Kind: an entry of a packument that must not become a unit, beside one that does."""
    good = version("left-pad", "1.0.0")
    dist = good["dist"]
    assert refusals(
        {**good, "version": "1.0"},
        {**good, "version": "1.0.1\n"},
        {**good, "version": "1.1.0", "name": "other"},
        {**good, "version": "1.2.0", "dist": {**dist, "integrity": "sha512-AAAA"}},
        {**good, "version": "1.3.0", "dist": {"tarball": dist["tarball"]}},
        {**good, "version": "1.4.0", "dist": {**dist, "tarball": "file:///etc/passwd"}},
        good,
    ) == {
        "left-pad@1.0": "not a version of semver",
        "left-pad@1.0.1\\n": "not a version of semver",
        "left-pad@1.1.0": "its manifest is of something else",
        "left-pad@1.2.0": "its `integrity` has not the length of a sha512",
        "left-pad@1.3.0": "it has neither a sha512 as `integrity` nor a `shasum`",
        "left-pad@1.4.0": "its `tarball` is no URL of HTTP",
    }
    with pytest.raises(Malformed):
        packument_units("left-pad", {"error": "busy"}, BASE, refuse=unexpected)


def test_documents_say_urls_of_ours_and_tags_of_what_is_there() -> None:
    made = [stored(unit, "left-pad") for unit in units("1.0.0", "2.0.0-rc.1", latest="3.0.0")]
    url = "https://packages.example.org/npm/"
    assert dist_tags(made) == {"latest": "1.0.0"}
    for document in full_packument, short_packument:
        said = json.loads(document("left-pad", made, url))
        assert said["versions"]["1.0.0"]["dist"]["tarball"] == f"{url}left-pad/-/left-pad-1.0.0.tgz"


def test_a_tarball_is_described_by_what_it_holds(tmp_path: Path) -> None:
    body = tarball("@a/b", "1.0.0", bin="cli.js", scripts={"postinstall": "x"}, deprecated="y")
    (tmp_path / "b.tgz").write_bytes(body)
    described = read_tarball(tmp_path / "b.tgz")
    assert described.dist["integrity"] == integrity(body)
    assert described.manifest["bin"] == {"b": "cli.js"}
    assert described.manifest["hasInstallScript"]
    assert "deprecated" not in described.manifest
    (tmp_path / "b.tgz").write_bytes(body[:-20])
    with pytest.raises(Refused):
        read_tarball(tmp_path / "b.tgz")
