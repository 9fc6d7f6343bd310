"""Pages and files of a publication, read back with a parser that is not ours."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from pypi_simple import ProjectPage

from reconciler.plugin import (
    Fetch,
    MissingConduit,
    PluginCallConfiguration,
    Redirect,
    StoredArtifact,
    StoredUnit,
)
from reconciler_python.publishing.rendering import project_pages
from reconciler_python.publishing.simple_publisher import PublicationOptions, PythonPublisher
from reconciler_python.reading.documents import read_project_json
from reconciler_python.reading.html_documents import read_project_html
from reconciler_python.reading.units import project_units
from tests.support.conduits import FakeOutput, FakePublishConduit, page, stored

HTML = "application/vnd.pypi.simple.v1+html"
JSON = "application/vnd.pypi.simple.v1+json"
NO_CONFIGURATION = PluginCallConfiguration({}, {}, {})
SHA = "ab" + "c" * 62
BESIDE = "d" * 64


def unit(
    filename: str,
    version: str,
    *,
    sha256: str = SHA,
    size: int | None = 7,
    beside: str = "",
    name: str = "foo",
    **metadata: Any,
) -> StoredUnit:
    artifacts = [StoredArtifact(filename, sha256, size)]
    if beside:
        artifacts.append(StoredArtifact(f"{filename}.metadata", beside, 3))
    plain = {
        "name": name,
        "version": version,
        "packageType": "wheel" if filename.endswith(".whl") else "sdist",
        **metadata,
    }
    return StoredUnit(
        artifacts=artifacts, group=name, key=filename, metadata=plain, type="python.distribution"
    )


def status(name: str, **metadata: Any) -> StoredUnit:
    return StoredUnit(artifacts=[], group=name, key=name, metadata=metadata, type="python.project")


def published(groups: dict[str, list[StoredUnit]], **keys: Any) -> FakePublishConduit:
    conduit = FakePublishConduit(groups, **{"options": PublicationOptions(), **keys})
    PythonPublisher().publish(conduit, NO_CONFIGURATION)
    return conduit


def json_page(output: FakeOutput, path: str) -> Any:
    return json.loads(output.pages[path, JSON])


def test_files_of_a_release_stand_in_the_order_of_their_names() -> None:
    """Not in that of their digests, nor in that in which they were recorded."""
    files = [
        unit("foo-1.0-py3-none-any.whl", "1.0", sha256="a" * 64),
        unit("foo-1.0-cp312-none-any.whl", "1.0", sha256="b" * 64),
        unit("foo-0.9.tar.gz", "0.9", sha256="f" * 64),
    ]
    listed = json.loads(project_pages("foo", files, None)[1])["files"]
    assert [file["filename"] for file in listed] == [
        "foo-0.9.tar.gz",
        "foo-1.0-cp312-none-any.whl",
        "foo-1.0-py3-none-any.whl",
    ]


FULL = unit(
    "foo-1.0+cu&1-py3-none-any.whl",
    "1.0+cu1",
    beside=BESIDE,
    requiresPython='>=3.8,<"4"',
    yanked="<b>\"bad\" & 'worse'</b>",
    uploadTime="2026-01-02T03:04:05.123456Z",
    extra={"new-key": {"deep": [1]}, "url": "never this one"},
)


class TestTree:
    def test_pages_files_and_metadata_have_their_places(self) -> None:
        output = published({"foo": [FULL]}).merged
        base = f"files/foo/{SHA}/foo-1.0+cu&1-py3-none-any.whl"
        assert output.files == {
            base: (SHA, "application/octet-stream"),
            f"{base}.metadata": (BESIDE, "application/octet-stream"),
        }
        assert set(output.pages) == {
            (path, kind)
            for path in ("simple/", "simple/foo/")
            for kind in ("text/html", HTML, JSON)
        }
        assert next(iter(output.pages))[1] == "text/html"  # the first is the default
        assert output.aliases["simple/foo/", "application/vnd.pypi.simple.latest+json"] == JSON
        assert output.aliases["simple/", "application/vnd.pypi.simple.latest+html"] == HTML

    def test_only_changed_groups_are_rendered_and_an_emptied_one_holds_nothing(self) -> None:
        conduit = published(
            {"bar": [unit("bar-1.0.tar.gz", "1.0", name="bar")], "foo": [FULL], "old": []},
            changed_groups=["foo", "old"],
        )
        assert set(conduit.outputs) == {"foo", "old"}
        assert conduit.outputs["old"] == FakeOutput()
        assert json_page(conduit.whole_output, "simple/")["projects"] == [
            {"name": "bar"},
            {"name": "foo"},
        ]

    def test_the_list_is_html_too(self) -> None:
        markup = published({"foo": [FULL]}).whole_output.pages["simple/", "text/html"].decode()
        assert '<meta name="pypi:repository-version" content="1.4">' in markup
        assert '<a href="foo/">foo</a>' in markup


class TestJson:
    def test_everything_known_is_said(self) -> None:
        answer = json_page(published({"foo": [FULL]}).merged, "simple/foo/")
        assert answer == {
            "meta": {"api-version": "1.4"},
            "name": "foo",
            "versions": ["1.0+cu1"],
            "files": [
                {
                    "filename": "foo-1.0+cu&1-py3-none-any.whl",
                    "url": f"../../files/foo/{SHA}/foo-1.0%2Bcu%261-py3-none-any.whl",
                    "hashes": {"sha256": SHA},
                    "size": 7,
                    "upload-time": "2026-01-02T03:04:05.123456Z",
                    "requires-python": '>=3.8,<"4"',
                    "yanked": "<b>\"bad\" & 'worse'</b>",
                    "core-metadata": {"sha256": BESIDE},
                    "new-key": {"deep": [1]},
                }
            ],
        }

    def test_files_and_versions_are_in_the_order_of_versions(self) -> None:
        versions = ["1.10", "1.9", "1.10rc1", "1!0.1", "2.0.dev1", "weird", "odd"]
        units = [unit(f"foo-{version}.tar.gz", version) for version in versions] + [
            unit("foo-1.9-py3-none-any.whl", "1.9")
        ]
        random.Random(5).shuffle(units)
        answer = json_page(published({"foo": units}).merged, "simple/foo/")
        assert answer["versions"] == ["1.9", "1.10rc1", "1.10", "2.0.dev1", "1!0.1", "odd", "weird"]
        assert [file["filename"] for file in answer["files"]][:3] == [
            "foo-1.9-py3-none-any.whl",
            "foo-1.9.tar.gz",
            "foo-1.10rc1.tar.gz",
        ]

    def test_the_order_of_units_does_not_matter(self) -> None:
        units = [
            unit(f"foo-1{'.0' * number}.tar.gz", f"1{'.0' * number}") for number in range(12)
        ]  # one version, twelve spellings
        assert project_pages("foo", units, None) == project_pages("foo", units[::-1], None)

    def test_a_status_is_said_with_its_reason_and_unknown_keys_of_the_page(self) -> None:
        output = published(
            {
                "foo": [
                    FULL,
                    status(
                        "foo",
                        status="archived",
                        reason="<moved>",
                        extra={"note": 1, "name": "never"},
                    ),
                ]
            }
        ).merged
        answer = json_page(output, "simple/foo/")
        assert (answer["project-status"], answer["note"], answer["name"]) == (
            {"status": "archived", "reason": "<moved>"},
            1,
            "foo",
        )
        markup = output.pages["simple/foo/", "text/html"].decode()
        assert '<meta name="pypi:project-status" content="archived">' in markup
        assert '<meta name="pypi:project-status-reason" content="&lt;moved&gt;">' in markup

    def test_times_are_utc_with_a_z_or_absent(self) -> None:
        times = {
            "2026-01-02T03:04:05+02:00": "2026-01-02T01:04:05Z",
            "2026-01-02T03:04:05": "2026-01-02T03:04:05Z",
            "soon": None,
            "2026-99-99T00:00:00Z": None,
            "\uff12\uff10\uff12\uff16-01-02T03:04:05Z": None,
        }
        for said, shown in times.items():
            [file] = json.loads(
                project_pages("foo", [unit("foo-1.tar.gz", "1", uploadTime=said)], None)[1]
            )["files"]
            assert file.get("upload-time") == shown

    def test_what_is_not_known_is_absent(self) -> None:
        [file] = json.loads(project_pages("foo", [unit("foo-1.tar.gz", "1", size=None)], None)[1])[
            "files"
        ]
        assert set(file) == {"filename", "url", "hashes"}


class TestHtml:
    def test_an_independent_parser_reads_the_same_from_both(self) -> None:
        units = [FULL, unit("foo-2.0.tar.gz", "2.0", yanked=True), unit("foo-3.0.tar.gz", "3.0")]
        html, as_json = project_pages(
            "foo", units, status("foo", status="deprecated", reason='"x"')
        )
        from_html = ProjectPage.from_html(
            "foo", html, base_url="https://index.example.org/simple/foo/"
        )
        from_json = ProjectPage.from_json_data(
            json.loads(as_json), base_url="https://index.example.org/simple/foo/"
        )
        for attribute in (
            "filename",
            "url",
            "digests",
            "requires_python",
            "is_yanked",
            "has_metadata",
            "metadata_digests",
        ):
            assert [getattr(package, attribute) for package in from_html.packages] == [
                getattr(package, attribute) for package in from_json.packages
            ]
        assert from_html.repository_version == from_json.repository_version == "1.4"
        assert from_html.packages[0].yanked_reason == FULL.metadata["yanked"]
        assert from_html.packages[1].is_yanked
        assert not from_html.packages[2].is_yanked

    def test_our_own_pages_give_the_units_back(self) -> None:
        plain = {key: value for key, value in FULL.metadata.items() if key != "extra"}
        units = [
            StoredUnit(
                artifacts=FULL.artifacts,
                group="foo",
                key="foo-1.0+cu1-py3-none-any.whl",
                metadata=plain,
                type=FULL.type,
            ),
            unit("foo-2.0.tar.gz", "2.0", yanked=True),
        ]
        units[0].artifacts[:] = [
            StoredArtifact(units[0].key, SHA, 7),
            StoredArtifact(f"{units[0].key}.metadata", BESIDE),
        ]
        units[0].metadata["coreMetadata"] = {"sha256": BESIDE}
        html, as_json = project_pages("foo", units, None)
        for document in (
            read_project_html(page(html, "text/html")),
            read_project_json(page(as_json, JSON)),
        ):
            again = project_units(
                "foo",
                document,
                "https://index.example.org/simple/foo/",
                refuse=lambda key, reason: None,
            )
            assert [stored(one, "foo") for one in again] == units


class TestMissing:
    @pytest.mark.parametrize(
        ("path", "meant"),
        [
            ("", Redirect("simple/")),
            ("/", Redirect("simple/")),
            ("simple/Foo_Bar/", Redirect("simple/foo-bar/")),
            ("simple/Foo.Bar", Redirect("simple/foo-bar/")),
            ("simple/foo-bar/", Fetch("foo-bar")),
            ("files/foo-bar/ab/foo_bar-1.0.tar.gz", Fetch("foo-bar")),
            ("legacy/Foo_Bar/1.0/", Redirect("simple/foo-bar/")),
            ("legacy/-/1.0/", None),
            ("simple/-/", None),
            ("simple/Foo/Bar/", None),
            ("files/Foo_Bar/", None),
        ],
    )
    def test_any_spelling_of_a_name_leads_to_its_page(
        self, path: str, meant: Redirect | Fetch | None
    ) -> None:
        assert PythonPublisher.missing(MissingConduit("team"), path) == meant


class TestProvenance:
    FILENAME = "foo-1.0-py3-none-any.whl"
    PLACE = f"files/foo/{SHA}/{FILENAME}.provenance"

    def publish(self, base_url: str = "") -> FakeOutput:
        plain = unit(self.FILENAME, "1.0")
        attested = StoredUnit(
            artifacts=[*plain.artifacts, StoredArtifact(f"{self.FILENAME}.provenance", BESIDE, 3)],
            group="foo",
            key=plain.key,
            metadata=plain.metadata,
            type=plain.type,
        )
        return published(
            {"foo": [attested]}, options=PublicationOptions(), base_url=base_url
        ).merged

    def test_the_object_stands_beside_its_file_and_pages_that_know_no_url_do_not_name_it(
        self,
    ) -> None:
        """PEP 740 wants an absolute URL: a relative one makes a client refuse the whole page."""
        output = self.publish()
        assert output.files[self.PLACE] == (BESIDE, "application/vnd.pypi.integrity.v1+json")
        [file] = json_page(output, "simple/foo/")["files"]
        assert "provenance" not in file
        assert b"data-provenance" not in output.pages["simple/foo/", HTML]

    def test_with_the_publications_url_pages_name_it(self) -> None:
        output = self.publish("https://packages.example.org/team/")
        expected = f"https://packages.example.org/team/{self.PLACE}"
        for kind in (JSON, HTML):
            parse = ProjectPage.from_json_data if kind == JSON else None
            body = output.pages["simple/foo/", kind]
            found = parse(json.loads(body)) if parse else ProjectPage.from_html("foo", body)
            assert [package.provenance_url for package in found.packages] == [expected]


def test_a_file_without_an_upload_time_shows_its_first_sight_where_it_is_asked_for() -> None:
    """Kind: a fact that clients ask of every file, and that upstream does not state of some."""
    told, seen = "2026-01-02T03:04:05Z", "2026-11-21T12:00:00+00:00"
    units = [
        unit("foo-1.0.tar.gz", "1.0", uploadTime=told, _firstSeen=seen),
        unit("foo-2.0.tar.gz", "2.0", _firstSeen="2026-11-21T12:00:00.000250+00:00"),
        unit("foo-3.0.tar.gz", "3.0", uploadTime="yesterday"),
    ]
    asked = PublicationOptions.model_validate({"unknownUploadTime": "firstSeen"})
    is_undated = PythonPublisher.needs_first_seen(asked)
    assert is_undated is not None
    assert [is_undated(file) for file in units] == [False, True, True]
    assert not is_undated(status("foo", status="archived"))
    assert PythonPublisher.needs_first_seen(PublicationOptions()) is None
    html, body = project_pages("foo", units, None)
    assert [file.get("upload-time") for file in json.loads(body)["files"]] == [
        told,
        "2026-11-21T12:00:00.000250Z",
        None,
    ]
    assert b'data-upload-time="2026-11-21T12:00:00.000250Z"' in html
