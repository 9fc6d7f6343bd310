"""`osv:` of a Filter: the releases that the records of an OSV dump keep out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from reconciler_python.evidence.osv_records import Advisory, Affected, Record, severity_rank
from tests.support.osv import HIGH, reasons, record, rules, zipped


class TestDecisions:
    def test_malware_is_denied_and_names_the_record(self, tmp_path: Path) -> None:
        dump = zipped(
            tmp_path / "all.zip", record("MAL-2024-1234", "Acme_Tools", versions=["1.0", "1.1"])
        )
        assert reasons(rules(dump), "1.0", "1.1.0", "1.2", project="acme-tools") == [
            "MAL-2024-1234: malware"
        ] * 2 + [None]
        assert reasons(rules(dump), "1.0", project="other") == [None]
        assert reasons(rules(dump, malware="allow"), "1.0", project="acme-tools") == [None]

    def test_malware_without_a_release_is_the_whole_project(self, tmp_path: Path) -> None:
        dump = zipped(tmp_path / "all.zip", record("MAL-1"), record("GHSA-1", "other"))
        assert reasons(rules(dump), "0.dev0", "1.0", "not a version") == ["MAL-1: malware"] * 3
        assert reasons(rules(dump, severity="low"), "1.0", project="other") == [None]

    def test_severity(self, tmp_path: Path) -> None:
        dump = zipped(
            tmp_path / "all.zip",
            record("GHSA-low", versions=["1"], database_specific={"severity": "LOW"}),
            record(
                "GHSA-moderate",
                versions=["2"],
                database_specific={"severity": "MODERATE", "cwe_ids": []},
            ),
            record("GHSA-vector", versions=["3"], severity=[{"type": "CVSS_V3", "score": HIGH}]),
            record("GHSA-critical", versions=["4"], database_specific={"severity": "CRITICAL"}),
            record("GHSA-silent", versions=["5"], database_specific={"severity": ["HIGH"]}),
        )
        versions = ("1", "2", "3", "4", "5")
        words = [
            "GHSA-low (low): vulnerable",
            "GHSA-moderate (medium): vulnerable",
            "GHSA-vector (high): vulnerable",
            "GHSA-critical (critical): vulnerable",
            "GHSA-silent (severity unknown): vulnerable",
        ]
        assert reasons(rules(dump), *versions) == [None] * 5
        assert reasons(rules(dump, severity="low"), *versions) == words
        assert reasons(rules(dump, severity="moderate"), *versions) == [None, *words[1:]]
        assert reasons(rules(dump, severity="medium"), *versions) == [None, *words[1:]]
        assert reasons(rules(dump, severity="high", unknownSeverity="allow"), *versions) == [
            None,
            None,
            *words[2:4],
            None,
        ]
        assert reasons(rules(dump, severity="critical", unknownSeverity="allow"), *versions) == [
            None,
            None,
            None,
            words[3],
            None,
        ]

    def test_a_record_without_severity_takes_that_of_its_aliases(self, tmp_path: Path) -> None:
        dump = zipped(
            tmp_path / "all.zip",
            record("PYSEC-1", versions=["1"], aliases=["GHSA-1", "CVE-1"]),
            record("GHSA-1", "acme", versions=[], database_specific={"severity": "LOW"}),
        )
        assert reasons(rules(dump, severity="low"), "1") == ["PYSEC-1 (low): vulnerable"]
        assert reasons(rules(dump, severity="high"), "1") == [None]

    def test_malware_is_named_before_vulnerabilities_whatever_the_order(
        self, tmp_path: Path
    ) -> None:
        both = [
            record("GHSA-1", versions=["1"]),
            record("MAL-2", versions=["1"]),
            record("MAL-1", versions=["1"]),
        ]
        for number, records in enumerate((both, both[::-1])):
            assert reasons(
                rules(zipped(tmp_path / f"{number}.zip", *records), severity="low"), "1"
            ) == ["MAL-1: malware"]

    def test_withdrawn_records_and_other_ecosystems_do_not_count(self, tmp_path: Path) -> None:
        foreign = record("MAL-2", versions=["1"])
        foreign["affected"][0]["package"]["ecosystem"] = "npm"
        mirrored = record("MAL-3", versions=["2"])
        mirrored["affected"][0]["package"]["ecosystem"] = "PyPI:https://index.example.org"
        dump = zipped(
            tmp_path / "all.zip",
            record("MAL-1", versions=["1"], withdrawn="2026-01-01T00:00:00Z"),
            foreign,
            mirrored,
        )
        assert reasons(rules(dump), "1", "2") == [None, "MAL-3: malware"]

    def test_labels_and_vectors(self) -> None:
        four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
        assert [
            severity_rank([text])
            for text in (
                HIGH,
                four,
                "AV:N/AC:L/Au:N/C:C/I:C/A:C",
                "high",
                "CVSS:3.1/AV:N",
                "odd",
                "",
            )
        ] == [
            3,
            4,
            4,
            3,
            None,
            None,
            None,
        ]
        assert severity_rank([]) is None
        assert severity_rank(["LOW", HIGH, "odd"]) == 3
        assert severity_rank(["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"]) == 0


def advisory(id: str = "GHSA-1", **keys: Any) -> Advisory:
    decoded = msgspec.json.decode(json.dumps(record(id, **keys)), type=Record)
    affected: Affected = decoded.affected[0]
    return Advisory(decoded, affected)


def holds(events: list[dict[str, str]], version: str) -> bool:
    return advisory(events=events).affects(version)


ORDERED = [
    "0.dev0",
    "0",
    "0.9",
    "1.0.dev1",
    "1.0a1",
    "1.0rc1",
    "1.0",
    "1.0.post1",
    "1.1",
    "2.0rc1",
    "2.0",
    "1!0.1",
]


class TestReleases:
    def test_events(self) -> None:
        assert [
            version
            for version in ORDERED
            if holds([{"introduced": "0"}, {"fixed": "1.0"}], version)
        ] == ORDERED[:6]
        assert [
            version
            for version in ORDERED
            if holds([{"introduced": "1.0a1"}, {"last_affected": "1.0"}], version)
        ] == ORDERED[4:7]
        assert [
            version for version in ORDERED if holds([{"introduced": "1.1"}], version)
        ] == ORDERED[8:]
        assert [
            version
            for version in ORDERED
            if holds([{"introduced": "0"}, {"limit": "1.0"}], version)
        ] == ORDERED[:6]
        parts = [{"fixed": "2.0"}, {"introduced": "1.1"}, {"fixed": "1.0a1"}, {"introduced": "0"}]
        assert [version for version in ORDERED if holds(parts, version)] == [
            *ORDERED[:4],
            "1.1",
            "2.0rc1",
        ]

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["introduced", "fixed", "last_affected"]), st.sampled_from(ORDERED)
            ),
            min_size=1,
            max_size=6,
        )
    )
    def test_events_agree_with_a_walk_through_all_versions(
        self, written: list[tuple[str, str]]
    ) -> None:
        """The reference visits versions in PEP 440 order and toggles at every event."""
        told = advisory(events=[{kind: version} for kind, version in written])
        inside = False
        for version in sorted(ORDERED, key=Version):
            here = {
                kind
                for kind, at in written
                if (kind, at) != ("introduced", "0") and Version(at) == Version(version)
            }
            begun = version == ORDERED[0] and ("introduced", "0") in written
            inside = "introduced" in here or ((inside or begun) and "fixed" not in here)
            assert told.affects(version) == inside, (written, version)
            inside = inside and ("last_affected" not in here)

    def test_listed_versions_are_compared_as_versions(self) -> None:
        listed = advisory(versions=["1.0", "2.0rc1", "2004d", "not a version"])
        assert [
            listed.affects(version) for version in ("1", "1.0.0", "2.0c1", "not a version", "2004d")
        ] == [True] * 5
        assert [listed.affects(version) for version in ("1.0.1", "2.0", "other", "2004")] == [
            False
        ] * 4

    def test_a_local_version_is_the_release_that_it_was_built_from(self) -> None:
        assert advisory(versions=["1.0"]).affects("1.0+cu118")
        assert not advisory(versions=["1.0+cu118"]).affects("1.0")
        assert holds([{"introduced": "0"}, {"last_affected": "1.0"}], "1.0+cu118")
        assert not holds([{"introduced": "0"}, {"fixed": "1.0"}], "1.0+cu118")
        assert not holds([{"introduced": "0"}, {"last_affected": "1.0+1"}], "1.0+2")

    def test_versions_that_cannot_be_read(self) -> None:
        """An odd version of a file is met only by a list, or by a range without any end.

        An odd version in the record is in doubt about every file.
        """
        assert holds([{"introduced": "0"}], "odd")
        assert not holds([{"introduced": "0"}, {"fixed": "9"}], "odd")
        assert not holds([{"introduced": "1"}], "odd")
        assert holds([{"introduced": "0"}, {"fixed": "odd"}], "99")
        assert holds([{"introduced": "odd"}, {"fixed": "2"}], "1")
        endless = "9" * 5000
        assert advisory(
            versions=[endless, "1"], events=[{"introduced": endless}, {"fixed": endless}]
        ).affects("1")
        assert advisory(versions=[endless]).affects(endless)
        assert not holds([{"introduced": "odd"}, {"fixed": "2"}], "2")

    def test_other_ranges_mean_nothing(self) -> None:
        for kind in ("SEMVER", "GIT", "OTHER"):
            assert not advisory(events=[{"introduced": "0"}], kind=kind).affects("1.0")
            assert advisory("MAL-1", events=[{"introduced": "0"}], kind=kind).affects("1.0")
