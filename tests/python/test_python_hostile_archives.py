"""Archives in which two readers find different things are refused, byte by byte made by hand."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler_python.reading.archives import UnreadableArchive, wheel_metadata
from reconciler_python.reading.sdists import pax_records
from reconciler_python.uploads.refusals import UploadRefused
from reconciler_python.uploads.sdists import check_sdist
from reconciler_python.uploads.wheels import check_wheel
from tests.support.wheels import core_metadata

INFO = b"acme_app-1.0.dist-info"
METADATA = core_metadata("acme-app", "1.0")
TOP = "acme_app-1.0"


@dataclass
class Entry:
    """A stored member of a zip, and what its two headers say otherwise."""

    name: bytes
    content: bytes = b""
    extra: bytes = b""
    local_extra: bytes = b""
    local_name: bytes | None = None
    flags: int = 0
    size: int | None = None
    checksum: int | None = None
    behind: bytes = b""


def zip_of(*further: Entry) -> bytes:
    wheel = (
        Entry(b"acme.py"),
        Entry(INFO + b"/WHEEL", b"Wheel-Version: 1.0\n"),
        Entry(INFO + b"/RECORD"),
        Entry(INFO + b"/METADATA", METADATA),
    )
    return packed(*wheel, *further)


def packed(*entries: Entry) -> bytes:
    out, directory = b"", b""
    for entry in entries:
        size = len(entry.content) if entry.size is None else entry.size
        checksum = zlib.crc32(entry.content) if entry.checksum is None else entry.checksum
        sizes = (checksum, len(entry.content), size)
        local = entry.name if entry.local_name is None else entry.local_name
        head = (20, entry.flags, 0, 0, 33, *sizes)
        begin = struct.pack("<4s5H3L2H", b"PK\3\4", *head, len(local), len(entry.local_extra))
        directory += struct.pack(
            "<4s6H3L5H2L",
            b"PK\1\2",
            0x314,
            *head,
            len(entry.name),
            len(entry.extra),
            0,
            0,
            0,
            0o100644 << 16,
            len(out),
        )
        directory += entry.name + entry.extra
        out += begin + local + entry.local_extra + entry.content + entry.behind
    end = (0, 0, len(entries), len(entries), len(directory), len(out), 0)
    return out + directory + struct.pack("<4s4H2LH", b"PK\5\6", *end)


def field(number: int, data: bytes) -> bytes:
    return struct.pack("<HH", number, len(data)) + data


def forged_metadata() -> tuple[bytes, bytes]:
    """A wheel of which a search for METADATA finds another one, and that other one."""
    fake = METADATA + b"X-Fake: shown\n"
    name = INFO + b"/METADATA"
    sizes = (zlib.crc32(fake), len(fake), len(fake))
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, *sizes, len(name), 0)
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 0x314, 20, 0, 0, 0, 33, *sizes, len(name), 0, 0, 0, 0, 0, 37
    )
    return packed(
        Entry(b"acme.py", local + name + fake),
        Entry(INFO + b"/WHEEL"),
        Entry(INFO + b"/RECORD"),
        Entry(name, METADATA, extra=field(0x9999, entry + name)),
    ), fake


def test_metadata_is_what_every_reader_finds_and_not_what_a_field_holds(tmp_path: Path) -> None:
    forged, fake = forged_metadata()
    path = tmp_path / "wheel"
    path.write_bytes(forged)
    assert check_wheel(path, "acme-app", "1.0")[0] == METADATA
    with path.open("rb") as file:
        assert wheel_metadata(file, "acme-app") == METADATA != fake
    assert zipfile.ZipFile(path).read(f"{INFO.decode()}/METADATA") == METADATA


DESCRIBED = 0x8
ZIPS: dict[str, tuple[bytes, str]] = {
    "a second name": (zip_of(Entry(b"a", extra=field(0x7075, b"\1\0\0\0\0../a"))), "ambiguous-zip"),
    "a second name before the bytes": (
        zip_of(Entry(b"a", local_extra=field(0x7075, b"\1\0\0\0\0b"))),
        "ambiguous-zip",
    ),
    "a field that is cut off": (zip_of(Entry(b"a", extra=b"\x99\x99\xff\xff")), "ambiguous-zip"),
    "other bytes of a name": (
        zip_of(Entry("\ufffd".encode(), local_name=b"\xff", flags=0x800)),
        "ambiguous-zip",
    ),
    "a wrong checksum": (zip_of(Entry(b"a", b"content", checksum=1)), "damaged-member"),
    "a wrong size": (zip_of(Entry(b"a", b"content", size=3)), "damaged-member"),
    "a descriptor of another member": (
        zip_of(
            Entry(b"a", b"x", flags=DESCRIBED, behind=struct.pack("<4s3L", b"PK\7\x08", 1, 1, 1))
        ),
        "ambiguous-zip",
    ),
    "a file that is a folder": (zip_of(Entry(b"a"), Entry(b"a/b")), "unsafe-path"),
    "folders without end": (zip_of(Entry(b"a/" * 101 + b"a")), "unsafe-path"),
    "a path without end": (zip_of(Entry(b"a" * 1025)), "unsafe-path"),
    "a folder and a file of one name": (zip_of(Entry(b"a"), Entry(b"a/")), "duplicate-member"),
}


@pytest.mark.parametrize(("content", "code"), ZIPS.values(), ids=ZIPS)
def test_a_zip_that_readers_read_differently_is_refused(
    content: bytes, code: str, tmp_path: Path
) -> None:
    assert code_of(lambda path: check_wheel(path, "acme-app", "1.0"), content, tmp_path) == code


def test_a_small_size_hides_no_bomb(tmp_path: Path) -> None:
    buffer = io.BytesIO(zip_of())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(1 << 20))
    told, said = struct.pack("<L", 1 << 20), struct.pack("<L", 10)
    hidden = buffer.getvalue().replace(told, said)
    assert code_of(lambda path: check_wheel(path, "acme-app", "1.0"), hidden, tmp_path) == (
        "damaged-member"
    )


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError

    def seek(self, *_: int) -> int:
        raise OSError


def test_zips_that_were_streamed_or_prepared_for_more_are_taken(tmp_path: Path) -> None:
    members = {
        "acme.py": b"x" * 999,
        f"{INFO.decode()}/WHEEL": b"",
        f"{INFO.decode()}/RECORD": b"",
        f"{INFO.decode()}/METADATA": METADATA,
    }
    for stream, large in ((Unseekable(), False), (Unseekable(), True), (io.BytesIO(), True)):
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                with archive.open(name, "w", force_zip64=large) as member:
                    member.write(content)
        path = tmp_path / "wheel"
        path.write_bytes(stream.getvalue())
        assert check_wheel(path, "acme-app", "1.0")[0] == METADATA


def header(name: str, size: int = 0, kind: bytes = b"0", link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info.tobuf(tarfile.USTAR_FORMAT)


def file(name: str, content: bytes = b"", kind: bytes = b"0", link: str = "") -> bytes:
    return header(name, len(content), kind, link) + content + bytes(-len(content) % 512)


def pax(*records: tuple[str, str], kind: bytes = b"x") -> bytes:
    return file("PaxHeader", b"".join(record(*each) for each in records), kind)


def record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + 2
    return f"{length if length > 9 else length - 1}".encode() + body


def long_name(name: str) -> bytes:
    return file("././@LongLink", name.encode() + b"\0", b"L")


PKG_INFO = file(f"{TOP}/PKG-INFO", METADATA)
TARS: dict[str, tuple[bytes, str]] = {
    "a path for all members": (pax(("path", "../evil.py"), kind=b"g") + PKG_INFO, "ambiguous-tar"),
    "a target for all links": (pax(("linkpath", "/etc"), kind=b"g") + PKG_INFO, "ambiguous-tar"),
    "a size for all members": (pax(("size", "0"), kind=b"g") + PKG_INFO, "ambiguous-tar"),
    "two long names": (
        PKG_INFO + long_name(f"{TOP}/a") + pax(("path", f"{TOP}/b")) + file(f"{TOP}/c"),
        "ambiguous-tar",
    ),
    "two headers": (
        PKG_INFO + pax(("path", f"{TOP}/a")) + pax(("path", f"{TOP}/b")) + file(f"{TOP}/c"),
        "ambiguous-tar",
    ),
    "an empty name": (PKG_INFO + pax(("path", "")) + file(f"{TOP}/c"), "ambiguous-tar"),
    "a folder with a size": (PKG_INFO + header(f"{TOP}/d", 512, b"5") + file("x"), "ambiguous-tar"),
    "a record within a record": (
        pax(("comment", f"z\n26 path={TOP}/other")) + file(f"{TOP}/PKG-INFO", METADATA) + PKG_INFO,
        "duplicate-member",
    ),
    "a header that is none": (
        file("PaxHeader", b"zz path=a\n", b"x") + PKG_INFO,
        "unreadable-archive",
    ),
    "a target that climbs after it descended": (
        PKG_INFO + file(f"{TOP}/m", b"", b"2", "a/../../../x"),
        "unsafe-link",
    ),
    "a member below a link": (
        PKG_INFO + file(f"{TOP}/d", b"", b"2", ".") + file(f"{TOP}/d/setup.py"),
        "unsafe-path",
    ),
    "a hard link to a link": (
        PKG_INFO
        + file(f"{TOP}/d", b"", b"2", "PKG-INFO")
        + file(f"{TOP}/h", b"", b"1", f"{TOP}/d"),
        "unsafe-link",
    ),
    "a file that is a folder": (PKG_INFO + file(f"{TOP}/a") + file(f"{TOP}/a/b"), "unsafe-path"),
}


@pytest.mark.parametrize(("content", "code"), TARS.values(), ids=TARS)
def test_a_tar_that_readers_read_differently_is_refused(
    content: bytes, code: str, tmp_path: Path
) -> None:
    packed_tar = gzip.compress(content + bytes(1024), mtime=0)
    assert code_of(lambda path: check_sdist(path, f"{TOP}.tar.gz"), packed_tar, tmp_path) == code


def test_links_that_stay_and_comments_about_all_members_are_taken(tmp_path: Path) -> None:
    content = (
        pax(("comment", "a commit"), kind=b"g")
        + PKG_INFO
        + file(f"{TOP}/docs/up", b"", b"2", "../PKG-INFO")
        + file(f"{TOP}/docs/through", b"", b"2", "up")
        + file(f"{TOP}/hard", b"", b"1", f"{TOP}/PKG-INFO")
    )
    path = tmp_path / "sdist"
    path.write_bytes(gzip.compress(content + bytes(1024)))
    assert check_sdist(path, f"{TOP}.tar.gz") == METADATA


def test_records_of_a_header_are_read_by_their_length() -> None:
    body = record("comment", "a\n9 path=b\n") + record("path", "c")
    assert pax_records(body) == {"comment": "a\n9 path=b\n", "path": "c"}
    for broken in (b"5 a=b", b"99 a=b\n", b"0 a=b\n", b"6 a:b\n", b"a=b\n"):
        with pytest.raises(UnreadableArchive):
            pax_records(broken)


def code_of(check: Callable[[Path], object], content: bytes, folder: Path) -> str:
    path = folder / "archive"
    path.write_bytes(content)
    with pytest.raises(UploadRefused) as caught:
        check(path)
    return caught.value.code
