"""Evidence beyond the page: read only where it decides, equal for stored units."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import ActiveFilter, Artifact, Gone, Malformed, Page, Unit, Unreachable
from reconciler_python.content import Distribution
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.selecting.evidence_facts import with_evidence, with_stored_evidence
from reconciler_python.simple_importer import PythonImporter
from tests.support.attested import GITHUB, provenance
from tests.support.conduits import FakeUpstream
from tests.support.faulty import body, status
from tests.support.mirror import Mirror, remote, repository, resource
from tests.support.upstream import Upstream, upstream
from tests.support.wheels import Built, build_sdist, build_wheel, core_metadata, zipped

URL = "https://files.example.org/"


def licensed(version: str, licence: str) -> Built:
    """A wheel of the project `acme` that says its licence, if that is not empty."""
    plain = build_wheel("acme", version)
    metadata = core_metadata("acme", version) + (
        f"License-Expression: {licence}\n".encode() if licence else b""
    )
    with zipfile.ZipFile(io.BytesIO(plain.content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[f"acme-{version}.dist-info/METADATA"] = metadata
    return Built(plain.filename, zipped(members), metadata)


def unit(built: Built, version: str, *, beside: bool = True, **metadata: Any) -> Unit:
    package_type = "wheel" if built.filename.endswith(".whl") else "sdist"
    artifacts = [Artifact(built.filename, built.sha256, len(built.content), URL + built.filename)]
    if beside:
        artifacts.append(
            Artifact(
                f"{built.filename}.metadata",
                built.metadata_sha256,
                None,
                f"{URL}{built.filename}.metadata",
            )
        )
    return Unit(
        "python.distribution",
        built.filename,
        {"name": "acme", "version": version, "packageType": package_type, **metadata},
        artifacts,
    )


@dataclass
class Stage:
    """Releases of one project, upstream and as units, under filters."""

    conduit: FakeUpstream
    units: list[Unit]
    files: dict[str, bytes | Exception]

    @classmethod
    def of(
        cls,
        *filters: dict[str, Any],
        source: dict[str, Any] | None = None,
        beside: bool = True,
        **licences: str,
    ) -> Stage:
        """`licences`: by version (`v1` for 1): one wheel each."""
        active = [
            ActiveFilter(f"rules-{number}", FilterOptions.model_validate_json(json.dumps(keys)), "")
            for number, keys in enumerate(filters)
        ]
        stage = cls(
            FakeUpstream(
                {}, SelectionOptions.model_validate_json(json.dumps(source or {})), filters=active
            ),
            [],
            {},
        )
        stage.conduit.files = stage.files
        for name, licence in licences.items():
            stage.add(name[1:], licence, beside=beside)
        return stage

    def add(self, version: str, licence: str, *, beside: bool = True) -> None:
        built = licensed(version, licence)
        self.files |= {URL + built.filename: built.content} | (
            {f"{URL}{built.filename}.metadata": built.metadata} if beside else {}
        )
        self.units.append(unit(built, version, beside=beside))

    def read(self) -> list[Unit]:
        return asyncio.run(with_evidence(self.conduit, "acme", self.units))

    def decisions(self, units: list[Unit] | None = None) -> dict[str, str]:
        decided = Distribution.select(
            "acme",
            self.read() if units is None else units,
            self.conduit.options,
            self.conduit.filters,
            self.conduit.now,
        )
        return {
            decision.unit.metadata["version"]: "in" if decision.accepted else decision.reason
            for decision in decided
        }

    @property
    def asked(self) -> list[str]:
        """Versions of the files of which anything was read."""
        return sorted(
            {
                url.removeprefix(URL).split("-")[1]
                for url in [*self.conduit.fetched, *(url for url, *_ in self.conduit.asked)]
            }
        )


def test_evidence_is_read_of_what_is_of_age_since_its_first_sight() -> None:
    """The kind: an importer that decides beforehand by less than `select` knows."""
    stage = Stage.of(
        {"licenses": ["MIT"], "minAge": {"age": "7d", "unknown": "firstSeen"}, "latest": 1},
        v1="MIT",
        v2="GPL-3.0-only",
        v3="MIT",
    )
    old = "2026-11-01T00:00:00+00:00"
    stage.conduit.first_seen = {unit.key: old for unit in stage.units[:2]}
    stage.units = asyncio.run(stage.conduit.with_first_seen(stage.units))
    decisions = stage.decisions()
    assert stage.asked == ["1", "2"]
    assert decisions["1"] == "in"
    assert "licence" in decisions["2"]
    assert decisions["3"].startswith("first seen 2026-11-21, eligible 2026-11-28")


class TestLicences:
    def test_nobody_asks_and_nothing_is_read(self) -> None:
        stage = Stage.of({"deny": ["other"]}, {"attestations": {"required": False}}, v1="MIT")
        assert stage.read() == stage.units
        assert stage.asked == []

    @pytest.mark.parametrize("beside", [True, False])
    def test_decided_by_core_metadata_wherever_it_is(self, beside: bool) -> None:
        stage = Stage.of({"licenses": ["MIT"]}, v1="MIT", v2="GPL-3.0-only", v3="", beside=beside)
        assert stage.decisions() == {
            "1": "in",
            "2": "licence GPL-3.0-only (rules-0.licenses)",
            "3": "licence unknown (rules-0.licenses)",
        }
        assert {url.endswith(".metadata") for url in stage.conduit.fetched} == {beside}

    def test_an_sdist_says_it_in_its_pkg_info(self) -> None:
        built = build_sdist("acme", "1")
        stage = Stage.of({"licenses": {"allow": ["MIT"], "unknown": "allow"}})
        stage.units.append(unit(built, "1", beside=False))
        stage.conduit.files = {URL + built.filename: built.content}
        assert stage.decisions() == {"1": "in"}
        assert stage.asked == ["1.tar.gz"]

    def test_the_source_asks_too(self) -> None:
        stage = Stage.of(source={"filter": {"licenses": ["ISC"]}}, v1="MIT", v2="ISC")
        assert {
            version: words.partition(" (")[0] for version, words in stage.decisions().items()
        } == {"1": "licence MIT", "2": "in"}

    def test_only_what_everything_else_lets_in_is_read(self) -> None:
        stage = Stage.of(
            {"licenses": ["MIT"], "deny": ["acme==1"]},
            {"packageTypes": ["wheel"]},
            source={"exclude": ["acme==2"]},
            v1="MIT",
            v2="MIT",
            v3="MIT",
        )
        assert stage.decisions() == {
            "1": 'denied by "acme==1" (rules-0.deny)',
            "2": 'excluded by "acme==2"',
            "3": "in",
        }
        assert stage.asked == ["3"]

    def test_latest_goes_on_to_the_next_release_and_no_further(self) -> None:
        stage = Stage.of(
            {"licenses": ["MIT"], "latest": 2},
            v1="MIT",
            v2="MIT",
            v3="GPL-3.0-only",
            v4="MIT",
            v5="ISC",
        )
        found = stage.decisions()
        assert stage.asked == ["2", "3", "4", "5"]
        assert [version for version, words in found.items() if words == "in"] == ["2", "4"]
        assert "licence" not in found["1"]
        assert found["3"] == "licence GPL-3.0-only (rules-0.licenses)"

    def test_the_order_of_units_and_filters_does_not_matter(self) -> None:
        stage = Stage.of(
            {"licenses": ["MIT", "ISC"]},
            {"licenses": ["MIT", "Zlib"], "latest": 1},
            v1="MIT",
            v2="ISC",
            v3="Zlib",
        )
        words = stage.decisions()
        stage.units.reverse()
        stage.conduit.filters = tuple(reversed(stage.conduit.filters))
        assert stage.decisions() == words
        assert [version for version, word in words.items() if word == "in"] == ["1"]

    @pytest.mark.parametrize("error", [Gone("404"), Malformed("other bytes")])
    def test_what_upstream_does_not_have_is_unknown(self, error: Exception) -> None:
        stage = Stage.of({"licenses": ["MIT"]}, v1="MIT", v2="MIT")
        stage.conduit.files = dict.fromkeys(stage.conduit.files, error)
        words = stage.decisions()
        assert all(word.startswith("licence unknown: ") for word in words.values())

    def test_what_fails_for_now_is_no_answer(self) -> None:
        stage = Stage.of({"licenses": {"allow": ["MIT"], "unknown": "allow"}}, v1="MIT")
        stage.conduit.files = dict.fromkeys(stage.conduit.files, Unreachable("503"))
        with pytest.raises(Unreachable):
            stage.read()

    def test_a_wheel_that_is_no_wheel_is_unknown(self) -> None:
        broken = Built("acme-1-py3-none-any.whl", b"PK\x05\x06" + b"\xff" * 40, b"")
        stage = Stage.of({"licenses": ["MIT"]})
        stage.units.append(unit(broken, "1", beside=False))
        stage.conduit.files = {URL + broken.filename: broken.content}
        assert stage.decisions()["1"].startswith("licence unknown")

    def test_facts_are_not_part_of_what_is_stored(self) -> None:
        [found] = Stage.of({"licenses": ["MIT"]}, v1="MIT").read()
        assert {name for name in found.metadata if not name.startswith("_")} == {
            "name",
            "version",
            "packageType",
        }
        assert found.artifacts == Stage.of(v1="MIT").units[0].artifacts


def attested(answers: Mapping[str, bytes | Exception], *filters: dict[str, Any]) -> Stage:
    """`answers`: what is behind the provenance URL of a version."""
    stage = Stage.of(*filters)
    pages: dict[str, Page | Exception] = {}
    for version, answer in answers.items():
        url = f"{URL}acme-{version}-.provenance"
        stage.add(version, "MIT")
        stage.units[-1].metadata["_provenance"] = url
        pages[url] = (
            answer if isinstance(answer, Exception) else Page(url, answer, "v", "application/json")
        )
    stage.conduit.pages = pages
    return stage


def of_release(version: str, *publishers: dict[str, Any]) -> bytes:
    return provenance(licensed(version, "MIT").sha256, *publishers)


class TestAttestations:
    def test_a_provenance_object_is_an_artifact_and_decides(self) -> None:
        good = of_release("1", GITHUB)
        evil = of_release("2", GITHUB | {"repository": "evil/app"})
        stage = attested(
            {"1": good, "2": evil, "3": of_release("1", GITHUB), "4": Gone("404")},
            {"attestations": {"publishers": ["GitHub:acme/app"]}},
        )
        stage.units += Stage.of(v5="MIT").units
        found = stage.read()
        assert stage.decisions(found) == {
            "1": "in",
            "2": "attested by GitHub:evil/app release.yml pypi (rules-0.attestations)",
            "3": "attestation unreadable: it is about another file (rules-0.attestations)",
            "4": "attestation unreadable: 404 (rules-0.attestations)",
            "5": "no attestation (rules-0.attestations)",
        }
        name = found[0].key
        assert found[0].artifacts[-1] == Artifact(
            f"{name}.provenance", sha256(good).hexdigest(), len(good), f"{URL}acme-1-.provenance"
        )
        assert [len(each.artifacts) for each in found] == [3, 3, 2, 2, 2]

    def test_only_those_that_are_left_are_asked(self) -> None:
        stage = attested(
            {"1": of_release("1", GITHUB), "2": of_release("2", GITHUB)},
            {"attestations": "required", "deny": ["acme==2"]},
        )
        assert stage.decisions()["2"].startswith("denied")
        assert stage.asked == ["1"]

    def test_what_fails_for_now_is_no_answer(self) -> None:
        with pytest.raises(Unreachable):
            attested({"1": Unreachable("503")}, {"attestations": "required"}).read()


class TestRecall:
    @pytest.mark.parametrize("beside", [True, False])
    @pytest.mark.parametrize("kept", [True, False])
    def test_stored_units_are_decided_by_their_own_artifacts(
        self, beside: bool, kept: bool
    ) -> None:
        wheel = licensed("1", "GPL-3.0-only")
        contents = (
            {wheel.filename: wheel.content, f"{wheel.filename}.metadata": wheel.metadata}
            if kept
            else {}
        )
        stage = Stage.of({"licenses": ["MIT"]})
        before = unit(wheel, "1", beside=beside)
        found = with_stored_evidence(before, stage.conduit.filters, contents.get)
        assert stage.decisions([found]) == {
            "1": f"licence {'GPL-3.0-only' if kept else 'unknown'} (rules-0.licenses)"
        }
        assert Distribution.load_metadata(before, stage.conduit.filters, contents.get) == found

    def test_provenance_and_sdists_too(self) -> None:
        sdist = build_sdist("acme", "1")
        contents = {
            sdist.filename: sdist.content,
            f"{sdist.filename}.provenance": provenance(sdist.sha256, GITHUB),
        }
        stage = Stage.of(
            {"attestations": "required", "licenses": {"allow": ["MIT"], "unknown": "allow"}}
        )
        before = unit(sdist, "1", beside=False)
        assert stage.decisions(
            [with_stored_evidence(before, stage.conduit.filters, contents.get)]
        ) == {"1": "in"}
        del contents[f"{sdist.filename}.provenance"]
        assert stage.decisions(
            [with_stored_evidence(before, stage.conduit.filters, contents.get)]
        ) == {"1": "no attestation (rules-0.attestations)"}

    def test_broken_files_raise_nothing_and_nobody_asks_without_a_filter(self) -> None:
        stage = Stage.of({"licenses": ["MIT"], "attestations": "required"})
        for name in ("acme-1-py3-none-any.whl", "acme-1.tar.gz", "acme-1.zip"):
            before = unit(Built(name, b"", b""), "1", beside=False)
            for content in (b"", b"PK\x05\x06" + b"\xff" * 60, b"\x1f\x8b" + b"\0" * 60):
                found = with_stored_evidence(
                    before,
                    stage.conduit.filters,
                    {name: content, f"{name}.provenance": content or b"x"}.get,
                )
                assert stage.decisions([found])["1"].startswith(
                    ("licence unknown", "attestation unreadable")
                )
            assert (
                with_stored_evidence(before, (), lambda path: pytest.fail("read for nothing"))
                is before
            )


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as found:
        yield found


class TestEngine:
    def test_a_repository_under_rules(self, tmp_path: Path, index: Upstream) -> None:
        """Licences and attestations are planned, stored, and decided again with a new rule."""
        first, second, third = (
            licensed("1", "MIT"),
            licensed("2", "GPL-3.0-only"),
            licensed("3", "MIT"),
        )
        for built in (first, second, third):
            path = f"/provenance/{built.filename}"
            index.offer("acme", built, **({"provenance": path} if built is not third else {}))
            index.on(path, body(provenance(built.sha256, GITHUB), content_type="application/json"))
        rules = "type: python\nlicenses: [MIT]\nglobal: true\n"
        mirror = Mirror(
            tmp_path, remote(index.url), repository(), resource("Filter", "rules", rules)
        )
        mirror.applied()
        assert mirror.filenames() == [first.filename, third.filename]
        mirror.declare(
            remote(index.url),
            repository(),
            resource(
                "Filter", "rules", rules + "attestations: {publishers: ['GitHub:acme/app']}\n"
            ),
        )
        shown = mirror.plan("--verbose").out
        assert "no attestation (rules.attestations)" in shown
        assert "licence GPL-3.0-only (rules.licenses)" in shown
        mirror.applied()
        assert mirror.filenames() == [first.filename]
        assert not mirror.pending()
        with mirror.home.database() as database:
            reader = database.reader()
            state = reader.actual_state().repositories["team"]
            [stored] = reader.units(state.id, state.number, ["acme"])["acme"]
        assert [artifact.path for artifact in stored.artifacts] == [
            first.filename,
            f"{first.filename}.metadata",
            f"{first.filename}.provenance",
        ]

    def test_upstream_that_fails_for_now_removes_nothing(
        self, tmp_path: Path, index: Upstream
    ) -> None:
        built = licensed("1", "MIT")
        index.offer("acme", built)
        site = [remote(index.url), repository()]
        mirror = Mirror(tmp_path, *site)
        mirror.applied()
        index.on(index.file_path(f"{built.filename}.metadata"), status(503))
        mirror.declare(
            *site, resource("Filter", "rules", "type: python\nlicenses: [ISC]\nglobal: true\n")
        )
        assert mirror.apply().code == 1
        assert mirror.filenames() == [built.filename]


@pytest.mark.parametrize(
    ("options", "filter_", "needed"),
    [
        ({}, {"deny": ["x"]}, False),
        ({"include": ["x"]}, {"minAge": "7d", "yanked": "drop"}, False),
        ({}, {"licenses": {"allow": ["MIT"]}}, True),
        ({}, {"attestations": "required"}, True),
        ({"filter": {"licenses": {"allow": ["MIT"]}}}, {}, True),
        ({"include": ["x"], "dependencies": True}, {}, True),
        ({"files": ["x-1.0.tar.gz"]}, {}, True),
    ],
)
def test_pages_are_read_again_for_other_filters_where_reading_looks_further(
    options: dict[str, Any], filter_: dict[str, Any], needed: bool
) -> None:
    rules = ActiveFilter("rules", FilterOptions.model_validate(filter_), "")
    validated = SelectionOptions.model_validate(options)
    assert PythonImporter.filters_need_read(validated, [rules]) is needed
