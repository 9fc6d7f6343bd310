"""Requirements from beside a file, out of parts of it, or the whole; hostile archives."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.plugin import Artifact, Gone, Malformed, Part, Unit, Unreachable
from reconciler_python.reading import partial_files, sdists
from reconciler_python.reading.core_metadata import (
    UnreadableMetadata,
    core_metadata,
    dependencies_of,
    field_values,
    read_dependencies,
)
from tests.support.conduits import FakeConduit, page
from tests.support.requiring import RequiringIndex, closed
from tests.support.wheels import Built, build_egg, build_sdist, build_wheel, zipped

URL = "https://files.example.org/"
INFO = b"Metadata-Version: 2.1\nName: app\nVersion: 1\nRequires-Dist: lib>=2\n"
STORED = zipped({"app-1.dist-info/METADATA": INFO}, compression=zipfile.ZIP_STORED)
NOISE = random.Random(7).randbytes(300_000)
Pack = Callable[[bytes], bytes]


@dataclass
class PartsConduit(FakeConduit):
    """Remembers which bytes were asked for; what it raises for parts, if anything."""

    parts: list[tuple[int, int]] = field(default_factory=list)
    broken: Exception | None = None

    async def get_part(self, url: str, *, sha256: str, offset: int, length: int) -> Part:
        self.parts.append((offset, length))
        if self.broken is not None:
            raise self.broken
        return await super().get_part(url, sha256=sha256, offset=offset, length=length)


def unit_of(filename: str, content: bytes, metadata: bytes | None = None) -> Unit:
    kinds = {".whl": "wheel", ".egg": "egg"}
    artifacts = [
        Artifact(filename, hashlib.sha256(content).hexdigest(), len(content), URL + filename)
    ]
    if metadata is not None:
        artifacts.append(
            Artifact(
                f"{filename}.metadata",
                hashlib.sha256(metadata).hexdigest(),
                None,
                f"{URL}{filename}.metadata",
            )
        )
    return Unit(
        "python.distribution",
        filename,
        {"name": "app", "version": "1", "packageType": kinds.get(filename[-4:], "sdist")},
        artifacts,
    )


def read(filename: str, content: bytes, **keys: Exception) -> tuple[bytes | None, PartsConduit]:
    conduit = PartsConduit({}, files={URL + filename: content}, **keys)  # type: ignore[arg-type]
    return asyncio.run(core_metadata(conduit, unit_of(filename, content))), conduit


def tar(members: Mapping[str, bytes], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class TestWheels:
    def test_a_large_wheel_is_read_from_its_end(self) -> None:
        found, conduit = read(
            "app-1-py3-none-any.whl",
            zipped({"app/data.bin": NOISE, "app-1.dist-info/METADATA": INFO}),
        )
        assert found == INFO
        assert conduit.parts == [(-65536, 65536)]

    def test_a_directory_and_a_member_further_from_the_end_are_fetched_by_themselves(self) -> None:
        members = {"app-1.dist-info/METADATA": INFO, "app/data.bin": NOISE} | {
            f"app/{number:05}-{'x' * 60}.py": b"" for number in range(900)
        }
        content = zipped(members)
        found, conduit = read("app-1-py3-none-any.whl", content)
        assert found == INFO
        assert len(conduit.parts) == 3
        assert conduit.parts[0] == (-65536, 65536)
        assert conduit.parts[-1][0] == 0

    def test_the_file_beside_is_asked_for_first_and_the_wheel_where_it_is_missing_or_another(
        self,
    ) -> None:
        built = build_wheel("app", "1", requires=["lib"])
        unit = unit_of(built.filename, built.content, built.metadata)
        for beside, asked in ((built.metadata, 1), (Gone("404"), 2), (b"Name: other\n", 2)):
            conduit = FakeConduit(
                {},
                files={
                    URL + built.filename: built.content,
                    f"{URL}{built.filename}.metadata": beside,
                },
            )
            assert asyncio.run(core_metadata(conduit, unit)) == built.metadata
            assert len(conduit.fetched) == asked

    def test_a_failure_of_the_network_is_no_missing_file(self) -> None:
        """The wheel stands in for its core metadata, and where it fails as well nothing does."""
        built = build_wheel("app", "1")
        unit, wheel = unit_of(built.filename, built.content, built.metadata), URL + built.filename
        files: dict[str, bytes | Exception] = {
            wheel: built.content,
            f"{wheel}.metadata": Unreachable("no answer"),
        }
        assert asyncio.run(core_metadata(FakeConduit({}, files=files), unit)) == built.metadata
        files[wheel] = Unreachable("no answer")
        with pytest.raises(Unreachable):
            asyncio.run(core_metadata(FakeConduit({}, files=files), unit))

    def test_without_a_digest_the_file_is_read_whole(self) -> None:
        built = build_wheel("app", "1", requires=["lib"])
        unit = Unit(
            "python.distribution",
            built.filename,
            {"name": "app", "version": "1", "packageType": "wheel"},
            [Artifact(built.filename, "", None, URL)],
        )
        conduit = FakeConduit({URL: page(built.content, "application/octet-stream")})
        assert asyncio.run(core_metadata(conduit, unit)) == built.metadata

    def test_what_parts_seem_to_lack_is_looked_for_in_the_verified_whole(self) -> None:
        built = build_wheel("app", "1", requires=["lib"])
        found, conduit = read(built.filename, built.content, broken=Malformed("no such range"))
        assert found == built.metadata
        assert conduit.fetched == [URL + built.filename]

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"PK\x05\x06",
            b"no zip at all" * 100,
            zipped({"app-1.dist-info/RECORD": b""}),
            zipped({"other-1.dist-info/METADATA": INFO}),
            zipped({"app-1.dist-info/METADATA": INFO}, compression=zipfile.ZIP_LZMA),
            zipped({"app-1.dist-info/METADATA": b"x", "app-2.dist-info/METADATA": INFO}),
            zipped({"app-1.dist-info/METADATA": INFO, "other-1.dist-info/METADATA": b"x"}),
            STORED.replace(b"lib>=2", b"lib>=3"),
            STORED.replace(b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1"),
            struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 2**31, 0, 0),
            struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 2**20, 2**31, 0),
        ],
        ids=[
            "empty",
            "mark",
            "text",
            "no metadata",
            "foreign metadata",
            "odd compression",
            "two releases",
            "two projects",
            "damaged",
            "encrypted",
            "large directory",
            "far directory",
        ],
    )
    def test_a_wheel_that_shows_none_is_unreadable(self, content: bytes) -> None:
        with pytest.raises(UnreadableMetadata, match="shows no METADATA"):
            read("app-1-py3-none-any.whl", content)


class TestSdists:
    @pytest.mark.parametrize(
        ("ending", "pack"),
        [
            (".tar.gz", gzip.compress),
            (".tgz", gzip.compress),
            (".tar.bz2", bz2.compress),
            (".tar.xz", lzma.compress),
            (".tar", bytes),
        ],
    )
    @pytest.mark.parametrize("last", [False, True])
    def test_pkg_info_is_found_wherever_it_stands(
        self, ending: str, pack: Pack, last: bool
    ) -> None:
        first = {"app-1/PKG-INFO": INFO} if not last else {}
        members = {
            **first,
            "app-1/app.egg-info/PKG-INFO": b"x",
            "app-1/data": NOISE,
            "app-1/PKG-INFO": INFO,
            "app-1/z": NOISE,
        }
        found, conduit = read(f"app-1{ending}", pack(tar(members)))
        assert found == INFO
        if (
            not last and ending != ".tar.bz2"
        ):  # its blocks have 900,000 bytes, of which one gives nothing before it is whole
            assert conduit.parts == [(0, 65536)]
        else:
            assert len(conduit.parts) <= 4

    def test_of_one_name_twice_the_last_counts_as_for_every_client(self) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("app-1.dist-info/METADATA", b"x")
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("app-1.dist-info/METADATA", INFO)
        assert read("app-1-py3-none-any.whl", buffer.getvalue())[0] == INFO

    def test_a_zip_is_read_from_its_end(self) -> None:
        found, conduit = read(
            "app-1.zip",
            zipped({"app-1/data": NOISE, "app-1/x/PKG-INFO": b"x", "app-1/PKG-INFO": INFO}),
        )
        assert found == INFO
        assert conduit.parts == [(-65536, 65536)]

    @pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    def test_long_and_odd_names_are_read_as_tar_has_them(self, form: int) -> None:
        top = "a" * 90 + "/" if form == tarfile.USTAR_FORMAT else "\u00e4" * 120 + "/"
        assert (
            read(
                "app-1.tar.gz",
                gzip.compress(tar({f"{top}{'b' * 60}": b"1", f"{top}PKG-INFO": INFO}, form=form)),
            )[0]
            == INFO
        )
        assert (
            read("app-1.tar.gz", gzip.compress(tar({"./app-1/PKG-INFO": INFO}, form=form)))[0]
            == INFO
        )

    @pytest.mark.parametrize(
        "content",
        [tar({"app-1/setup.py": b"x", "app-1/x/PKG-INFO": INFO, "PKG-INFO": INFO}), tar({})],
        ids=["elsewhere", "empty"],
    )
    def test_without_pkg_info_it_requires_nothing(self, content: bytes) -> None:
        assert read("app-1.tar.gz", gzip.compress(content))[0] is None

    @pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    @pytest.mark.parametrize("name", ["app-1/link", f"app-1/{'l' * 150}"], ids=["short", "long"])
    def test_a_link_to_a_long_path_hides_nothing_behind_it(self, form: int, name: str) -> None:
        """Every header that carries a long text is passed over with that text."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "t" * 150
            archive.addfile(link)
            info = tarfile.TarInfo("app-1/PKG-INFO")
            info.size = len(INFO)
            archive.addfile(info, io.BytesIO(INFO))
        assert read("app-1.tar", buffer.getvalue())[0] == INFO

    def test_links_named_like_it_are_no_pkg_info(self) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo("app-1/PKG-INFO")
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)
        assert read("app-1.tar", buffer.getvalue())[0] is None

    def test_types_without_requirements_are_not_read(self) -> None:
        egg = build_egg("app", "1")
        assert read(egg.filename, egg.content)[1].parts == []
        assert read("app-1.tar.Z", b"compressed")[0] is None

    @pytest.mark.parametrize(
        ("filename", "content", "words"),
        [
            ("app-1.tar.gz", b"", "cannot be unpacked|no tar"),
            ("app-1.tar.gz", b"\x1f\x8b broken", "cannot be unpacked"),
            ("app-1.tar.gz", gzip.compress(tar({"app-1/x": NOISE}))[:5000], "cannot be unpacked"),
            ("app-1.tar.gz", gzip.compress(b"x" * 5000), "no tar archive"),
            ("app-1.tar.bz2", b"BZh9 broken", "cannot be unpacked"),
            ("app-1.tar.xz", b"\xfd7zXZ\0 broken", "cannot be unpacked"),
            ("app-1.tar", b"x" * 600, "no tar archive"),
            ("app-1.zip", b"PK", "no zip archive"),
            ("app-1.tar", tar({"app-1/PKG-INFO": INFO})[:560], "ends within"),
        ],
        ids=[
            "gz empty",
            "gz broken",
            "gz cut",
            "gz of text",
            "bz2 broken",
            "xz broken",
            "tar of text",
            "zip broken",
            "tar cut",
        ],
    )
    def test_a_broken_archive_is_unreadable(
        self, filename: str, content: bytes, words: str
    ) -> None:
        if content == b"":
            assert (
                read(filename, content)[0] is None
            )  # an empty stream is an empty archive, which states nothing
            return
        with pytest.raises(UnreadableMetadata, match=words):
            read(filename, content)

    def test_bombs_are_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sdists, "_UNPACKED", 1 << 20)
        for pack, ending in (
            (gzip.compress, ".tar.gz"),
            (bz2.compress, ".tar.bz2"),
            (lzma.compress, ".tar.xz"),
        ):
            with pytest.raises(UnreadableMetadata, match="first 1 MiB"):
                read(
                    f"app-1{ending}",
                    pack(tar({"app-1/zeros": bytes(4 << 20), "app-1/PKG-INFO": INFO})),
                )

    def test_sizes_that_lie_are_not_believed(self) -> None:
        entry = tarfile.TarInfo("app-1/PKG-INFO")
        entry.size = 1 << 40
        with pytest.raises(UnreadableMetadata, match="1,099,511,627,776 bytes"):
            read("app-1.tar", entry.tobuf(tarfile.GNU_FORMAT))
        entry.size = -5
        with pytest.raises(UnreadableMetadata, match=r"negative|no tar"):
            read("app-1.tar", entry.tobuf(tarfile.GNU_FORMAT))

    def test_what_is_too_far_in_is_a_failure_and_no_verdict(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Parts prove nothing: the whole file decides, unless it is too large to be read."""
        monkeypatch.setattr(partial_files, "_MOST", 100_000)
        content = gzip.compress(tar({"app-1/data": NOISE, "app-1/PKG-INFO": INFO}))
        found, conduit = read("app-1.tar.gz", content)
        assert found == INFO
        assert sum(length for _, length in conduit.parts) <= 100_000 + 65536

    @settings(max_examples=80, deadline=None)
    @given(st.data())
    def test_no_bytes_are_too_hostile(self, data: st.DataObject) -> None:
        filename, content = data.draw(st.sampled_from(SAMPLES))
        mutable = bytearray(content)
        for _ in range(data.draw(st.integers(1, 8))):
            mutable[data.draw(st.integers(0, len(mutable) - 1))] = data.draw(st.integers(0, 255))
        hostile = bytes(mutable[: data.draw(st.integers(1, len(mutable)))])
        conduit = PartsConduit({}, files={URL + filename: hostile})
        said = ""
        try:
            asyncio.run(dependencies_of(conduit, unit_of(filename, hostile)))
        except UnreadableMetadata as error:
            said = str(error)
        assert said.isprintable()


HEADER_LINES = [
    *(
        b"Requires-Dist: lib",
        b"requires-dist:lib; os_name == 'nt'",
        b"REQUIRES-DIST:\tlib",
        b"Requires-Dist : lib",
        b"Requires-Dist-Not: lib",
    ),
    *(
        b" ; os_name",
        b"\t== 'nt'",
        b"",
        b"Summary: Requires-Dist: x",
        b"Description: first",
        b"        |Requires-Dist: x",
        b"no field",
        b"x y: z",
        b":",
    ),
]
SAMPLES = [
    ("app-1-py3-none-any.whl", build_wheel("app", "1", requires=["lib"]).content),
    ("app-1.zip", zipped({"app-1/PKG-INFO": INFO})),
    ("app-1.tar", tar({"app-1/x": b"1", "app-1/PKG-INFO": INFO})),
    ("app-1.tar.gz", gzip.compress(tar({"app-1/x": b"1", "app-1/PKG-INFO": INFO}))),
    ("app-1.tar.bz2", bz2.compress(tar({"app-1/PKG-INFO": INFO}))),
]


class TestInTheClosure:
    def test_wheels_and_sdists_with_nothing_beside_them_are_followed(self) -> None:
        made = RequiringIndex()
        made.add_file("app", build_wheel("app", "1", requires=["lib"]))
        made.add_file("lib", _sdist("lib", "2", "more"))
        made.add("more", {"1": []})
        assert closed(made, ["app"]).versions == {"app": ["1"], "lib": ["2"], "more": ["1"]}

    def test_a_broken_sdist_is_refused_but_where_a_wheel_says_what_the_release_requires(
        self,
    ) -> None:
        made = RequiringIndex()
        made.add("lib", {"1": []})
        made.add_file("app", build_sdist("app", "1"), content=b"broken")
        result = closed(made, ["app"])
        assert result.refused["app"]["app-1.tar.gz"].startswith(
            "its dependencies are unknown: it cannot be unpacked"
        )
        assert closed(made, ["app"], legacy="allow").taken == {"app": ["app-1.tar.gz"]}
        made.add_file("app", build_wheel("app", "1", requires=["lib"]))
        assert set(closed(made, ["app"]).taken["app"]) == {"app-1.tar.gz", "app-1-py3-none-any.whl"}
        made.add_file("app", build_wheel("app", "1", tag="py2-none-any"), content=b"broken")
        assert "METADATA" in closed(made, ["app"]).refused["app"]["app-1-py2-none-any.whl"]

    def test_a_file_that_is_listed_and_not_there_fails_its_project(self) -> None:
        made = RequiringIndex()
        made.add_file("app", build_wheel("app", "1"))
        made.files.clear()
        result = closed(made, ["app"])
        assert "`app-1-py3-none-any.whl`: what it requires cannot be read: " in str(
            result.failures["app"]
        )


def _sdist(name: str, version: str, *requires: str) -> Built:
    lines = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    info = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n{lines}".encode()
    return Built(
        f"{name}-{version}.tar.gz", gzip.compress(tar({f"{name}-{version}/PKG-INFO": info})), info
    )


class TestHeaders:
    def test_a_header_without_end_is_not_read(self) -> None:
        with pytest.raises(UnreadableMetadata, match="before the description"):
            read_dependencies(b"Requires-Dist: lib\n" + b"X: y\n" * 1_000_000)
        with pytest.raises(UnreadableMetadata, match="20,000 requirements"):
            read_dependencies(b"Requires-Dist: lib\n" * 20_000)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from(HEADER_LINES), max_size=8), st.sampled_from([b"\n", b"\r\n"]))
    def test_fields_are_those_that_the_mail_parser_finds(
        self, lines: list[bytes], end: bytes
    ) -> None:
        header = end.join([b"Metadata-Version: 2.1", *lines, b""]).split(end * 2)[0]
        expected = [
            " ".join(one.split()) for one in message_from_bytes(header).get_all("requires-dist", [])
        ]
        assert field_values(header, b"requires-dist") == expected

    def test_a_description_is_not_read(self) -> None:
        assert read_dependencies(b"Name: app\n\n" + b"Requires-Dist: lib\n" * 1_000_000) == []
