"""Reading an index: lists, pages, and everything that upstream may get wrong."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from reconciler.plugin import UNCHANGED, Artifact, Gone, Group, Malformed, Unit
from reconciler_python.simple_importer import PythonImporter
from tests.support.conduits import page
from tests.support.importing import (
    JSON,
    NO_DIGEST,
    OTHER,
    SHA,
    declared,
    document,
    file,
    read,
    units,
)


class TestDeclare:
    def test_exact_names_are_declared_without_asking_for_the_list(self) -> None:
        groups, conduit = declared({}, include=["Django>=5", "requests", "django<3"])
        assert groups == [Group("django"), Group("requests")]
        assert conduit.asked == []

    def test_a_project_that_is_excluded_as_a_whole_is_not_declared(self) -> None:
        groups, _ = declared({}, include=["foo", "bar", "baz"], exclude=["foo", "ba?", "baz>1"])
        assert groups == []

    def test_without_include_the_list_is_all(self) -> None:
        listing = json.dumps(
            {
                "meta": {"api-version": "1.1"},
                "projects": [{"name": "Foo.Bar", "_last-serial": 7}, {"name": "baz"}],
            }
        )
        groups, conduit = declared({"": page(listing, JSON)})
        assert groups == [
            Group("foo-bar", "serial:7", listed=True),
            Group("baz", None, listed=True),
        ]
        assert conduit.asked[0][1].startswith(f"{JSON}, ")

    def test_a_glob_narrows_the_list(self) -> None:
        listing = json.dumps(
            {
                "projects": [
                    {"name": "acme-one"},
                    {"name": "ACME.two"},
                    {"name": "other"},
                    {"name": "named"},
                ]
            }
        )
        groups, _ = declared(
            {"": page(listing, JSON)}, include=["acme-*", "named>1"], exclude=["acme-two"]
        )
        assert [group.name for group in groups] == ["acme-one", "named"]

    def test_names_are_unique_and_the_newest_serial_counts(self) -> None:
        listing = json.dumps(
            {
                "projects": [
                    {"name": "a_b", "_last-serial": 3},
                    {"name": "A.B", "_last-serial": 9},
                    {"name": "a-b", "_last-serial": 4},
                ]
            }
        )
        assert declared({"": page(listing, JSON)})[0] == [Group("a-b", "serial:9", listed=True)]

    def test_an_html_list_is_read_by_its_texts(self) -> None:
        listing = '<a href="foo/">foo</a><a href="/simple/b-c/">B.c</a><a href="x">x/</a>'
        assert [group.name for group in declared({"": page(listing, "text/html")})[0]] == [
            "foo",
            "b-c",
            "x",
        ]

    @pytest.mark.parametrize(
        "hostile",
        [
            "../../etc",
            "https://evil.example.org/x",
            "a\u0000b",
            "",
            "-",
            "a/b",
            "a" * 300,
            "\ud7ff",
        ],
    )
    def test_hostile_names_are_passed_over(self, hostile: str) -> None:
        as_json = json.dumps({"projects": [{"name": hostile}, {"name": "good"}]})
        as_html = f"<a href='x'>{hostile}</a><a href='good/'>good</a>"
        assert declared({"": page(as_json, JSON)})[0] == [Group("good", listed=True)]
        assert declared({"": page(as_html, "text/html")})[0] == [Group("good", listed=True)]

    @pytest.mark.parametrize(
        ("body", "media_type"),
        [
            ("{", JSON),
            ("[]", JSON),
            ('{"projects": [{"name": 5}]}', JSON),
            ('{"meta": {"api-version": "2.0"}, "projects": []}', JSON),
            ("x", "image/png"),
        ],
    )
    def test_a_list_that_cannot_be_understood_is_a_failure_and_never_an_empty_list(
        self, body: str, media_type: str
    ) -> None:
        with pytest.raises(Malformed, match=r"index\.example\.org"):
            declared({"": page(body, media_type)})


class TestRead:
    def test_a_serial_of_the_list_is_the_validator_and_the_least_that_the_page_must_have_reached(
        self,
    ) -> None:
        _, conduit = read(document(), validator="serial:12")
        assert conduit.asked[0][2] == 12
        assert conduit.validators == ["serial:12"]

    def test_without_a_serial_the_pages_validator_counts(self) -> None:
        _, conduit = read(document())
        assert conduit.asked[0][2] is None
        assert conduit.validators == ["etag"]

    def test_an_unchanged_page_is_not_read(self) -> None:
        found, _ = read("{broken", committed=frozenset({"etag"}))
        assert found is UNCHANGED

    def test_everything_that_upstream_says_of_a_file_is_carried(self) -> None:
        entry = file(
            size=5,
            **{
                "requires-python": ">=3.8",
                "upload-time": "2026-01-02T03:04:05.5Z",
                "yanked": "broken",
                "core-metadata": {"sha256": OTHER},
            },
            **{
                "data-dist-info-metadata": {"sha256": SHA},
                "provenance": "https://index.example.org/p",
                "gpg-sig": True,
                "_own": 1,
                "new-key": {"x": 1.5},
            },
        )
        [unit], refused = units(document(entry))
        assert refused == {}
        assert unit.metadata == {
            "name": "foo",
            "version": "1.0",
            "packageType": "wheel",
            "requiresPython": ">=3.8",
            "uploadTime": "2026-01-02T03:04:05.5Z",
            "yanked": "broken",
            "coreMetadata": {"sha256": OTHER},
            "extra": {"new-key": {"x": "1.5"}},
            "_provenance": "https://index.example.org/p",
        }
        url = "https://files.example.org/foo-1.0-py3-none-any.whl"
        assert unit.artifacts == [
            Artifact("foo-1.0-py3-none-any.whl", SHA, 5, url),
            Artifact(
                "foo-1.0-py3-none-any.whl.metadata",
                OTHER,
                None,
                f"{url}.metadata",
                "foo-1.0-py3-none-any.whl",
            ),
        ]

    def test_a_page_with_keys_of_its_own_gives_the_units_of_one_without(self) -> None:
        entries = [
            file(size=3, yanked="x"),
            file(
                "foo-2.0.tar.gz", **{"upload-time": "2026-01-02T03:04:05Z", "core-metadata": False}
            ),
        ]
        assert units(document(*({**entry, "_own": 1.5} for entry in entries), _own=[])) == units(
            document(*entries)
        )

    def test_what_upstream_does_not_say_is_absent(self) -> None:
        entry = file(
            yanked=False, **{"requires-python": None, "core-metadata": False, "upload-time": None}
        )
        [unit], _ = units(document(entry))
        assert unit.metadata == {"name": "foo", "version": "1.0", "packageType": "wheel"}

    def test_core_metadata_without_a_digest_is_not_advertised(self) -> None:
        [unit], _ = units(
            document(file(**{"core-metadata": True, "data-dist-info-metadata": {"sha256": OTHER}}))
        )
        assert "coreMetadata" not in unit.metadata
        assert len(unit.artifacts) == 1

    @pytest.mark.parametrize("key", ["dist-info-metadata", "data-dist-info-metadata"])
    def test_older_names_of_core_metadata_count_where_the_new_one_is_missing(
        self, key: str
    ) -> None:
        [unit], _ = units(document(file(**{key: {"sha256": OTHER}})))
        assert unit.metadata["coreMetadata"] == {"sha256": OTHER}

    def test_metadata_of_an_sdist_is_looked_for_inside(self) -> None:
        [unit], _ = units(document(file("foo-1.0.tar.gz", **{"core-metadata": {"sha256": OTHER}})))
        assert unit.artifacts[1].within == "foo-1.0.tar.gz"

    def test_metadata_stands_beside_the_file_before_a_query(self) -> None:
        entry = file(
            url="https://files.example.org/foo.whl?key=1#sha256=x",
            **{"core-metadata": {"sha256": OTHER}},
        )
        [unit], _ = units(document(entry))
        assert [artifact.url for artifact in unit.artifacts] == [
            "https://files.example.org/foo.whl?key=1",
            "https://files.example.org/foo.whl.metadata?key=1",
        ]

    def test_relative_urls_start_from_the_page(self) -> None:
        [unit], _ = units(document(file(url="../../files/foo.whl#sha256=x")))
        assert unit.artifacts[0].url == "https://index.example.org/files/foo.whl"

    @pytest.mark.parametrize(
        ("entry", "key", "reason"),
        [
            (file(hashes={}), "foo-1.0-py3-none-any.whl", NO_DIGEST),
            (file(hashes={"sha256": ""}), "foo-1.0-py3-none-any.whl", NO_DIGEST),
            (
                file(hashes={"sha256": "short"}),
                "foo-1.0-py3-none-any.whl",
                "upstream's sha256 is no sha256",
            ),
            (file(hashes={"md5": SHA}), "foo-1.0-py3-none-any.whl", "upstream's md5 is no md5"),
            (file(hashes={"crc32": "0" * 8}), "foo-1.0-py3-none-any.whl", NO_DIGEST),
            (file(url=""), "foo-1.0-py3-none-any.whl", "its URL cannot be fetched"),
            (
                file(url="javascript:alert(1)"),
                "foo-1.0-py3-none-any.whl",
                "its URL cannot be fetched",
            ),
            (
                file(url="https://files.example.org/a\x1b[2J"),
                "foo-1.0-py3-none-any.whl",
                "its URL cannot be fetched",
            ),
            (
                file(url="https://files.example.org:123456/a"),
                "foo-1.0-py3-none-any.whl",
                "its URL cannot be fetched",
            ),
            (
                file(url="https://files.example.org\\evil.example.org/a"),
                "foo-1.0-py3-none-any.whl",
                "its URL cannot be fetched",
            ),
            (
                file(url="https://files.example.org/" + "a" * 16_000),
                "foo-1.0-py3-none-any.whl",
                "its URL cannot be fetched",
            ),
            (
                file(url="file:///etc/passwd"),
                "foo-1.0-py3-none-any.whl",
                "its URL cannot be fetched",
            ),
            (file(url="http://[broken"), "foo-1.0-py3-none-any.whl", "its URL cannot be fetched"),
            (file(url="//[broken"), "foo-1.0-py3-none-any.whl", "its URL cannot be fetched"),
            (file(url="https:///foo.whl"), "foo-1.0-py3-none-any.whl", "its URL cannot be fetched"),
            (
                file(url="https://files.example.org/a\x1bb"),
                "foo-1.0-py3-none-any.whl",
                "its URL cannot be fetched",
            ),
            (file("../../etc/passwd"), "../../etc/passwd", "the filename is unsafe"),
            (file("foo-1.0\x1b.tar.gz"), "foo-1.0\\x1b.tar.gz", "the filename is unsafe"),
            (
                file("bar-1.0.tar.gz"),
                "bar-1.0.tar.gz",
                "the filename does not begin with the project's name: `foo`",
            ),
            (file("foo-old.tar.gz"), "foo-old.tar.gz", "not a PEP 440 version: `old`"),
            (
                file(provenance=5),
                "foo-1.0-py3-none-any.whl",
                "upstream's entry cannot be read: Expected `str | null`, got `int` - at"
                " `$.provenance`",
            ),
            (
                file(odd=2**64),
                "foo-1.0-py3-none-any.whl",
                "upstream's entry has keys that are no plain JSON",
            ),
        ],
    )
    def test_a_file_that_cannot_be_a_unit_is_refused_and_the_others_stay(
        self, entry: dict[str, Any], key: str, reason: str
    ) -> None:
        found, refused = units(document(entry, file("foo-2.0.tar.gz")))
        assert [unit.key for unit in found] == ["foo-2.0.tar.gz"]
        assert refused == {key: reason}

    @pytest.mark.parametrize("size", [-1, 2**70, "12", 1.5, True, [1]])
    def test_an_impossible_size_is_no_size(self, size: object) -> None:
        """Sizes are advice: an index that writes them oddly loses no file."""
        [unit], _ = units(document(file(size=size)))
        assert unit.artifacts[0].size is None

    def test_one_filename_with_two_digests_is_refused(self) -> None:
        found, refused = units(document(file(), file(hashes={"sha256": OTHER})))
        assert found == []
        assert refused == {
            "foo-1.0-py3-none-any.whl": "upstream lists it twice, with different digests"
        }

    def test_entries_of_one_filename_that_agree_where_they_can_are_one_unit(self) -> None:
        entries = [
            file(hashes={"md5": "0" * 32}),
            file(),
            file(hashes={"sha256": SHA.upper(), "md5": "0" * 32, "crc32": "x"}),
        ]
        for order in permutations(entries):
            [unit], refused = units(document(*order))
            assert (unit.artifacts[0].sha256, unit.artifacts[0].digests, refused) == (
                SHA,
                {"md5": "0" * 32},
                {},
            )
        for order in permutations([*entries[1:], file(hashes={"md5": "1" * 32})]):
            assert units(document(*order))[1] == {
                "foo-1.0-py3-none-any.whl": "upstream lists it twice, with different digests"
            }

    def test_one_file_listed_twice_is_one_unit_whatever_the_order(self) -> None:
        first, second = file(**{"requires-python": ">=3"}), file()
        assert units(document(first, second)) == units(document(second, first))
        assert len(units(document(first, second))[0]) == 1

    def test_a_status_that_is_not_plainly_active_is_a_unit_of_its_own(self) -> None:
        found, _ = units(
            document(
                file(),
                **{
                    "project-status": {"status": "archived", "reason": "moved"},
                    "note": "x",
                    "_own": 2,
                },
            )
        )
        assert found[0] == Unit(
            "python.project",
            "foo",
            {"status": "archived", "reason": "moved", "extra": {"note": "x"}},
        )

    def test_half_a_surrogate_pair_harms_nothing_but_its_own_text(self) -> None:
        names = ["foo-1.0-py3-none-any.whl", "foo-\ud800.tar.gz", "foo-2.0-py3-none-any.whl"]
        body = document(*(file(name, yanked="\udc00 \\ud800 \U0001f600") for name in names))
        found, refused = units(body)
        assert [unit.key for unit in found] == [names[0], names[2]]
        assert {unit.metadata["yanked"] for unit in found} == {"\ufffd \\ud800 \U0001f600"}
        assert len(refused) == 1
        listed = json.dumps(
            {
                "meta": {"api-version": "1.0"},
                "projects": [{"name": "foo"}, {"name": "\ud83d"}, {"name": "\ud800\ud800"}],
            }
        )
        assert [group.name for group in declared({"": page(listed, JSON)})[0]] == ["foo"]

    def test_an_active_project_is_no_unit(self) -> None:
        found, _ = units(document(file(), **{"project-status": {"status": "active"}}))
        assert [unit.type for unit in found] == ["python.distribution"]

    def test_a_quarantined_project_is_gone(self) -> None:
        with pytest.raises(Gone, match='quarantined upstream: "malware"'):
            read(
                document(
                    file(), **{"project-status": {"status": "quarantined", "reason": "malware"}}
                )
            )

    @pytest.mark.parametrize(
        ("body", "media_type", "words"),
        [
            ("{", JSON, "not a project page"),
            ("", JSON, "not a project page"),
            ("[" * 100_000, JSON, "not a project page"),
            (b'{"files": ["\xff"]}', JSON, "not a project page"),
            ('{"meta": {"api-version": "1.0"}}', JSON, "files"),
            ('{"files": [3]}', JSON, "files"),
            ('{"files": [{"url": "x", "hashes": {}}]}', JSON, "none of its files can be read: `x`"),
            ('{"files": [null, {}]}', JSON, "none of its files can be read: `.no name.`"),
            (document(meta={"api-version": "2.0"}), JSON, "version 2.0"),
            ('<meta name="pypi:repository-version" content="2.1">', "text/html", "version 2.1"),
            ("{}", "application/json", "content type `application/json`"),
            ("x", "", "content type `\\(none\\)`"),
        ],
    )
    def test_a_page_that_cannot_be_understood_is_malformed(
        self, body: str | bytes, media_type: str, words: str
    ) -> None:
        with pytest.raises(Malformed, match=words):
            read(body, media_type)


def test_the_well_known_index_is_the_public_one() -> None:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    assert PythonImporter.well_known("pypi") == PYPI_SIMPLE_ENDPOINT
    assert PythonImporter.well_known("elsewhere") is None
    assert tuple(PythonImporter.well_known_names) == ("pypi",)
