"""Reading trees of files in each of the formats."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Digest
from reconciler.plugin import (
    UNCHANGED,
    Artifact,
    Gone,
    Group,
    Malformed,
    Page,
    PluginCallConfiguration,
    Refused,
    StoredArtifact,
    StoredUnit,
    Unit,
    UploadedFile,
)
from reconciler_file.file_importer import FileImporter, guess_format
from reconciler_file.listing import group_of
from reconciler_file.manifests import unlistable
from reconciler_file.options import SourceOptions
from tests.support.conduits import FakeConduit, FakeUploadConduit, page

BASE = "https://files.example.org/pool/"
MANIFEST = f"{BASE}PULP_MANIFEST"
LIST = f"{BASE}all.urls"
SHA, OTHER = "a" * 64, "b" * 64
LOCAL = "application/vnd.reconciler.folder+json"


def opened(
    url: str,
    answers: dict[str, Page | Exception],
    committed: frozenset[str] = frozenset(),
    **keys: Any,
) -> FakeConduit:
    return FakeConduit(answers, SourceOptions.model_validate(keys), committed, url)


def declared(conduit: FakeConduit) -> list[Any]:
    async def collect() -> list[Any]:
        return [group async for group in FileImporter().declare(conduit)]

    return asyncio.run(collect())


def read(conduit: FakeConduit) -> dict[str, Unit]:
    """Every unit by key; each lies in the group that its path belongs to."""
    found: dict[str, Unit] = {}
    for group in declared(conduit):
        for unit in asyncio.run(FileImporter().read(conduit, group)):
            assert group.name == group_of(unit.key)
            assert unit.key not in found
            found[unit.key] = unit
    return found


def files(
    body: bytes | str, url: str = MANIFEST, **keys: Any
) -> tuple[dict[str, Artifact], dict[str, str]]:
    """Artifacts by key and what was refused, of a page that is a list."""
    conduit = opened(url, {"": page(body, "text/plain", url=url)}, **keys)
    return {key: unit.artifacts[0] for key, unit in read(conduit).items()}, conduit.refused


class TestManifest:
    def test_a_line_is_a_file_below_the_manifests_folder(self) -> None:
        found, refused = files(f"a.iso,{SHA},3\nsub/b c#1.iso,{OTHER.upper()},0\n")
        assert found == {
            "a.iso": Artifact("a.iso", SHA, 3, f"{BASE}a.iso"),
            "sub/b c#1.iso": Artifact("sub/b c#1.iso", OTHER, 0, f"{BASE}sub/b%20c%231.iso"),
        }
        assert refused == {}

    def test_a_unit_is_a_path_and_its_bytes_and_nothing_else(self) -> None:
        conduit = opened(MANIFEST, {"": page(f"a,{SHA},3", "text/plain", url=MANIFEST)})
        assert read(conduit) == {
            "a": Unit("file.file", "a", {}, [Artifact("a", SHA, 3, f"{BASE}a")])
        }

    def test_comments_blanks_windows_line_ends_and_a_byte_order_mark_do_not_count(self) -> None:
        body = f"\ufeffa,{SHA},1\r\n\r\n# b,{SHA},1\r\n \t\r\n c , {SHA} ,\t7\r\n"
        found, refused = files(body)
        assert {key: one.size for key, one in found.items()} == {"a": 1, "c": 7}
        assert refused == {}

    def test_the_name_is_everything_before_the_last_two_commas(self) -> None:
        found, _ = files(f"a,b, c,{SHA},1\n")
        assert list(found) == ["a,b, c"]

    def test_an_empty_manifest_says_that_there_is_nothing(self) -> None:
        assert declared(opened(MANIFEST, {"": page("", "text/plain")})) == []

    def test_files_are_found_where_a_redirect_led_to(self) -> None:
        conduit = opened(
            MANIFEST,
            {
                "": page(
                    f"a,{SHA},1", "text/plain", url="https://cdn.example.org/7/PULP_MANIFEST?key=1"
                )
            },
        )
        assert read(conduit)["a"].artifacts[0].url == "https://cdn.example.org/7/a"

    def test_a_committed_manifest_is_not_looked_into(self) -> None:
        conduit = opened(
            MANIFEST, {"": page("not a manifest", "text/html", validator="v7")}, frozenset({"v7"})
        )
        assert declared(conduit) == [UNCHANGED]

    def test_a_change_changes_the_validator_of_its_group_alone(self) -> None:
        names = [f"f{number}" for number in range(600)]
        before = {
            g.name: g.validator
            for g in declared(
                opened(MANIFEST, {"": page("".join(f"{n},{SHA},1\n" for n in names), "text/plain")})
            )
        }
        lines = [f"{name},{OTHER if name == 'f42' else SHA},1\n" for name in names]
        after = {
            g.name: g.validator
            for g in declared(
                opened(MANIFEST, {"": page("".join(lines) + "\n# more\n", "text/plain")})
            )
        }
        assert {name for name in after if after[name] != before[name]} == {group_of("f42")}

    def test_groups_can_be_read_twice(self) -> None:
        conduit = opened(MANIFEST, {"": page(f"a,{SHA},1", "text/plain")})
        [group] = declared(conduit)
        first, second = (list(asyncio.run(FileImporter().read(conduit, group))) for _ in range(2))
        assert first == second != []

    @pytest.mark.parametrize("cut", [1, 30, 67, 68, 70])
    def test_a_manifest_that_is_cut_within_a_line_removes_nothing(self, cut: int) -> None:
        line = f"bb,{SHA},12\n"
        with pytest.raises(Malformed, match="line 2: not `name,sha256,size`"):
            files(f"a,{SHA},1\n" + line[:-cut] if cut > 4 else f"a,{SHA},1\n{line[:-4]}")


class TestUrls:
    def test_both_ways_to_write_a_line(self) -> None:
        found, refused = files(
            f"# a list\nhttps://a.example.org/x/one.iso?k=1 sha256={SHA} size=5\n{OTHER} "
            f" two.iso\n{OTHER} *../three.iso\nhttp://b.example.org/fo%20ur"
            f" sha256:{SHA.upper()}\nfive\n",
            LIST,
        )
        assert found == {
            "one.iso": Artifact("one.iso", SHA, 5, "https://a.example.org/x/one.iso?k=1"),
            "two.iso": Artifact("two.iso", OTHER, None, f"{BASE}two.iso"),
            "three.iso": Artifact("three.iso", OTHER, None, "https://files.example.org/three.iso"),
            "fo ur": Artifact("fo ur", SHA, None, "http://b.example.org/fo%20ur"),
            "five": Artifact("five", "", None, f"{BASE}five"),
        }
        assert refused == {}

    def test_of_two_urls_that_end_alike_the_first_counts(self) -> None:
        found, refused = files(
            f"https://a.example.org/x sha256={SHA}\nhttps://b.example.org/x sha256={OTHER}\n", LIST
        )
        assert found["x"].sha256 == SHA
        assert refused == {"x": "listed again, with other content; the first counts"}

    def test_the_same_bytes_under_two_urls_are_one_file(self) -> None:
        found, refused = files(
            f"https://a.example.org/x sha256={SHA}\nhttps://b.example.org/x sha256={SHA}\n", LIST
        )
        assert (found["x"].url, refused) == ("https://a.example.org/x", {})

    def test_two_urls_without_digests_may_be_two_files(self) -> None:
        _, refused = files("https://a.example.org/x\nhttps://b.example.org/x\n", LIST)
        assert list(refused) == ["x"]

    @pytest.mark.parametrize(
        "url", ["file:///etc/passwd", "ftp://a.example.org/x", "data:text/plain,x"]
    )
    def test_a_list_from_elsewhere_says_nothing_about_this_machine(self, url: str) -> None:
        listed, refused = files(f"{url}\nhttps://a.example.org/ok\n", LIST)
        assert (list(listed), len(refused)) == (["ok"], 1)
        with pytest.raises(Malformed, match="none of its lines can be used; line 1"):
            files(f"{url}\n", LIST)

    def test_a_list_of_this_machine_may_name_its_files(self) -> None:
        found, _ = files("b.iso\n", "file:///srv/all.urls")
        assert found["b.iso"].url == "file:///srv/b.iso"

    def test_credentials_do_not_belong_into_a_list(self) -> None:
        line = "https://me:secret@a.example.org/x\n"
        listed, refused = files(f"{line}https://a.example.org/ok\n", LIST)
        assert list(listed) == ["ok"]
        assert "secret" not in str(refused)
        with pytest.raises(Malformed) as failure:
            files(line, LIST)
        assert "secret" not in str(failure.value)

    def test_only_a_list_that_pins_every_file_can_be_unchanged(self) -> None:
        def asked(body: str) -> tuple[list[Any], list[str]]:
            conduit = opened(
                LIST, {"": page(body, "text/plain", validator="v7")}, frozenset({"v7"})
            )
            return declared(conduit), conduit.validators

        assert asked(f"a sha256={SHA}\nb sha256={SHA}\n") == ([UNCHANGED], ["v7"])
        groups, validators = asked(f"a sha256={SHA}\nb\n")
        assert validators == []
        assert {group.name: group.validator is None for group in groups} == {
            group_of("a"): False,
            group_of("b"): True,
        }

    @pytest.mark.parametrize(
        "line",
        [
            f"{SHA}",
            f"{SHA} a b",
            "a sha256=abc",
            f"a sha256={SHA}0",
            f"a sha256={SHA} sha256={SHA}",
            "a size=-1",
            "a size=1e3",
            "a md5=abc",
            "a b",
            "https://a.example.org/x/",
            "https://a.example.org",
            "http://[::1/x",
            "a size",
        ],
    )
    def test_what_is_no_line_spoils_the_list_and_is_not_shown_where_it_may_hold_a_secret(
        self, line: str
    ) -> None:
        with pytest.raises(Malformed, match="line 2: ") as caught:
            files(f"ok\n{line}\n", LIST)
        assert "example.org/x" not in str(caught.value)


NGINX = """<html><head><title>Index of /pool/</title></head><body><h1>Index of /pool/</h1>
<hr><pre><a href="../">../</a>
<a href="sub/">sub/</a>                                  21-Nov-2026 10:00                   -
<a href="a%20b.iso">a b.iso</a>                          21-Nov-2026 10:00                 123
<a href="c.iso">c.iso</a>                                21-Nov-2026 {time}                 456
</pre><hr></body></html>"""
APACHE = """<html><head><title>Index of /pool/sub</title></head><body><table>
<tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/pool/">Parent Directory</a></td><td>&nbsp;</td></tr>
<tr><td><a href="d.iso">d.iso</a></td><td align="right">2026-11-21 10:00  </td>
<td align="right">1.2K</td></tr>
<tr><td><a href="https://elsewhere.example.org/x.iso">x</a></td><td>2026-11-21 10:00</td></tr>
<tr><td><a href="/pool/sub/e.iso#top">e.iso</a></td><td align="right">2026-11-21 10:00  </td>
<td align="right">1.2K</td></tr>
</table><address>Apache at 10:30 <a href="mailto:admin@example.org">us</a></address>
</body></html>"""
PYTHON = """<!DOCTYPE HTML><html><head><title>Directory listing for /pool/</title></head>
<body><h1>Directory listing for /pool/</h1>
<hr><ul><li><a href="a.iso">a.iso</a></li><li><a href="b.iso">b.iso</a></li></ul><hr>
</body></html>"""
EMPTY = "<html><title>Index of /</title><h1>Index of /</h1><a href='../'>../</a></html>"


def html(body: str, url: str = BASE) -> Page:
    return page(body, "text/html", url=url)


def folder(pages: dict[str, Page | Exception]) -> FakeConduit:
    return opened(BASE, pages)


class TestFolders:
    def test_nginx_and_apache_listings_with_folders_below(self) -> None:
        conduit = folder({"": html(NGINX), f"{BASE}sub/": html(APACHE, f"{BASE}sub/")})
        assert {key: unit.artifacts[0].url for key, unit in read(conduit).items()} == {
            "a b.iso": f"{BASE}a%20b.iso",
            "c.iso": f"{BASE}c.iso",
            "sub/d.iso": f"{BASE}sub/d.iso",
            "sub/e.iso": f"{BASE}sub/e.iso",
        }
        assert conduit.refused == {}

    def test_nothing_is_declared_about_bytes_that_nobody_has_measured(self) -> None:
        [unit] = [unit for key, unit in read(folder({"": html(PYTHON)})).items() if key == "a.iso"]
        assert unit.artifacts == [Artifact("a.iso", "", None, f"{BASE}a.iso")]

    def test_times_and_sizes_tell_whether_a_group_changed(self) -> None:
        def validators(time: str) -> dict[str, str | None]:
            pages: dict[str, Page | Exception] = {
                "": html(NGINX.replace("{time}", time)),
                f"{BASE}sub/": html(EMPTY, f"{BASE}sub/"),
            }
            return {group.name: group.validator for group in declared(folder(pages))}

        before, after = validators("10:00"), validators("10:01")
        assert None not in before.values()
        assert validators("10:00") == before
        assert {name for name in after if after[name] != before[name]} == {group_of("c.iso")}

    def test_a_listing_without_times_is_always_read(self) -> None:
        assert [group.validator for group in declared(folder({"": html(PYTHON)}))] == [None, None]

    def test_an_empty_listing_is_an_answer_and_a_page_of_something_else_is_a_failure(self) -> None:
        assert declared(folder({"": html(EMPTY)})) == []
        for wrong in (
            html(
                "<h1>We are down for maintenance</h1><a"
                " href='https://status.example.org/'>status</a>"
            ),
            page("{}", "application/json"),
        ):
            with pytest.raises(Malformed):
                declared(folder({"": wrong}))

    def test_a_folder_below_that_fails_fails_the_whole(self) -> None:
        with pytest.raises(Gone):
            declared(folder({"": html(NGINX)}))

    def test_circles_come_to_an_end(self) -> None:
        class Endless(dict[str, Page | Exception]):
            def get(self, url: str, default: Any = None) -> Any:
                return html('<a href="again/">again</a>', BASE + url.removeprefix(BASE))

        with pytest.raises(Malformed, match="nested more than 32 deep"):
            declared(folder(Endless()))

    def test_a_redirect_to_a_folder_that_was_listed_adds_nothing(self) -> None:
        listing = '<a href="a.iso">a</a><a href="again/">again</a>'
        assert list(read(folder({"": html(listing), f"{BASE}again/": html(listing, BASE)}))) == [
            "a.iso"
        ]

    def test_a_listing_that_links_to_itself_lists_nothing_more(self) -> None:
        conduit = folder({"": html('<a href="./">here</a><a href="a.iso">a</a>')})
        assert list(read(conduit)) == ["a.iso"]
        assert conduit.refused == {}

    def test_a_local_folder_is_listed_by_the_core(self) -> None:
        listing = {
            "files": [
                {"path": "a.iso", "size": 3, "etag": "t1"},
                {"path": "sub/b c", "size": 0, "etag": "t2"},
            ]
        }
        url = "file:///srv/pool/"
        conduit = opened(url, {"": page(json.dumps(listing), LOCAL, url=url)})
        assert {key: unit.artifacts for key, unit in read(conduit).items()} == {
            "a.iso": [Artifact("a.iso", "", 3, f"{url}a.iso")],
            "sub/b c": [Artifact("sub/b c", "", 0, f"{url}sub/b%20c")],
        }
        before = {group.name: group.validator for group in declared(conduit)}
        listing["files"][0]["etag"] = "t3"
        after = {
            group.name: group.validator
            for group in declared(opened(url, {"": page(json.dumps(listing), LOCAL, url=url)}))
        }
        assert {name for name in after if after[name] != before[name]} == {group_of("a.iso")}

    def test_a_broken_listing_of_a_local_folder_is_a_failure(self) -> None:
        with pytest.raises(Malformed):
            declared(
                opened(
                    "file:///srv/",
                    {"": page('{"files": [{"path": 1}]}', LOCAL, url="file:///srv/")},
                )
            )


class TestFormats:
    @pytest.mark.parametrize(
        ("url", "format"),
        [
            (MANIFEST, "manifest"),
            (f"{BASE}MANIFEST?x=/", "manifest"),
            (f"{BASE}all.manifest", "manifest"),
            (f"{BASE}all.txt", "urls"),
            (f"{BASE}all.list", "urls"),
            (LIST, "urls"),
            (BASE, "folder"),
            ("https://files.example.org", "folder"),
            ("file:///srv/pool", "folder"),
            ("file:///srv/pool/PULP_MANIFEST", "manifest"),
        ],
    )
    def test_the_last_segment_tells(self, url: str, format: str) -> None:
        assert guess_format(url) == format

    def test_where_it_tells_nothing_the_manifest_has_to(self) -> None:
        with pytest.raises(Refused, match="`download` does not tell") as caught:
            declared(opened(f"{BASE}download", {}))
        assert "format: manifest" in (caught.value.hint or "")
        url = f"{BASE}download"
        assert files(f"a,{SHA},1", url, format="manifest")[0]["a"].sha256 == SHA

    def test_every_format_makes_the_same_unit_of_the_same_file(self) -> None:
        def identity(body: str, url: str) -> tuple[Any, ...]:
            [(key, unit)] = read(opened(url, {"": page(body, "text/plain", url=url)})).items()
            return (
                key,
                unit.metadata,
                [(artifact.path, artifact.sha256, artifact.size) for artifact in unit.artifacts],
            )

        assert identity(f"a.iso,{SHA},3", MANIFEST) == identity(
            f"https://b.example.org/x/a.iso sha256={SHA} size=3", LIST
        )


class TestUploads:
    def uploaded(
        self, name: str, place: Path, fields: dict[str, str], *held: str
    ) -> list[tuple[str, Unit]]:
        file = UploadedFile(name, place, 3, str(Digest.of(b"abc")).removeprefix("sha256:"))
        return list(
            FileImporter().upload(
                FakeUploadConduit(_held(held)), file, fields, PluginCallConfiguration({}, {}, {})
            )
        )

    def test_a_file_keeps_its_name_or_gets_the_path_that_was_sent(self, tmp_path: Path) -> None:
        for fields, key in (({}, "a.iso"), ({"path": "docs/b.iso"}, "docs/b.iso")):
            [(group, unit)] = self.uploaded("a.iso", tmp_path, fields)
            assert (group, unit.key, unit.metadata) == (group_of(key), key, {})
            [artifact] = unit.artifacts
            assert (artifact.path, artifact.size, len(artifact.sha256)) == (key, 3, 64)

    @pytest.mark.parametrize(
        "path", ["../x", "/x", "a//b", "a/./b", "a\\b", "a\x00b", "a/", "x" * 2000]
    )
    def test_an_unsafe_path_is_refused(self, path: str, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="no path for a file"):
            self.uploaded("a.iso", tmp_path, {"path": path})

    @pytest.mark.parametrize(
        "path", ["one.txt", "one.txt.asc", "docs/b", "docs/one.txt", "one", "doc"]
    )
    def test_what_lies_beside_others_is_taken(self, path: str, tmp_path: Path) -> None:
        [(_, unit)] = self.uploaded(
            "a.iso", tmp_path, {"path": path}, "one.txt", "docs/a", "ones/a"
        )
        assert unit.key == path

    def test_nothing_lies_below_the_publications_own_list(self) -> None:
        assert unlistable("PULP_MANIFEST/x") == unlistable("PULP_MANIFEST") != ""
        assert unlistable("PULP_MANIFEST.asc") == ""


def _held(paths: tuple[str, ...]) -> dict[str, list[StoredUnit]]:
    groups: dict[str, list[StoredUnit]] = {}
    for path in paths:
        unit = StoredUnit(
            artifacts=[StoredArtifact(path, SHA, 1)],
            group=group_of(path),
            key=path,
            metadata={},
            type="file.file",
        )
        groups.setdefault(unit.group, []).append(unit)
    return groups


def test_explaining_a_file_looks_into_its_group() -> None:
    assert list(FileImporter.explain("docs/a.iso")) == [group_of("docs/a.iso")]


def test_groups_are_for_ever() -> None:
    """Groups are part of every unit's identity: another division would change every version."""
    assert [group_of(path) for path in ("a.iso", "docs/a.iso", "é")] == ["33", "88", "4a"]


def test_groups_say_that_upstream_lists_them() -> None:
    [group] = declared(opened(MANIFEST, {"": page(f"a,{SHA},1", "text/plain")}))
    assert isinstance(group, Group)
    assert group.listed
