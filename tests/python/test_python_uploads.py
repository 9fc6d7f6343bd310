"""Uploaded distributions: what is taken as what, and each refusal by its code."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.plugin import ReceivedRequest, Unit, UploadedFile
from reconciler.plugin.endpoints import matched_endpoints
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.publishing.simple_publisher import PythonPublisher
from reconciler_python.simple_importer import PythonImporter
from reconciler_python.uploads.legacy_api import error_answer
from reconciler_python.uploads.refusals import FileExists, UploadRefused
from tests.support.conduits import FakeUploadConduit, stored
from tests.support.wheels import Built, build_egg, build_sdist, build_wheel, core_metadata, zipped

INFO = "acme_app-1.0.dist-info"
WHEEL = build_wheel("acme-app", "1.0", requires_python=">=3.9")
SDIST = build_sdist("acme-app", "1.0")
LEGACY = {":action": "file_upload", "protocol_version": "1"}


def sent(folder: Path, built: Built) -> UploadedFile:
    path = folder / "arrived"
    path.write_bytes(built.content)
    return UploadedFile(built.filename, path, len(built.content), built.sha256, "content")


def upload(
    folder: Path,
    built: Built,
    fields: Mapping[str, str] | None = None,
    *,
    held: Mapping[str, list[Unit]] | None = None,
) -> list[tuple[str, Unit]]:
    groups = {name: [stored(unit, name) for unit in units] for name, units in (held or {}).items()}
    conduit: Any = FakeUploadConduit(groups, options=SelectionOptions())
    return list(PythonImporter().upload(conduit, sent(folder, built), fields or {}, conduit.config))


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises((UploadRefused, FileExists)) as caught:
        call()
    error = caught.value
    assert isinstance(error, UploadRefused | FileExists)
    assert error.message, "a sentence"
    return error.code


def test_a_wheel_becomes_the_unit_that_an_index_would_list(tmp_path: Path) -> None:
    [(group, unit)] = upload(tmp_path, WHEEL)
    assert (group, unit.key) == ("acme-app", WHEEL.filename)
    assert unit.metadata == {
        "name": "acme-app",
        "version": "1.0",
        "packageType": "wheel",
        "requiresPython": ">=3.9",
        "uploadTime": unit.metadata["uploadTime"],
        "coreMetadata": {"sha256": WHEEL.metadata_sha256},
    }
    file, beside = unit.artifacts
    assert (file.sha256, file.size) == (WHEEL.sha256, len(WHEEL.content))
    assert (beside.sha256, beside.within) == (WHEEL.metadata_sha256, WHEEL.filename)


def test_a_source_distribution_shows_no_metadata_beside_it(tmp_path: Path) -> None:
    [(group, unit)] = upload(tmp_path, SDIST)
    assert (group, unit.metadata["packageType"], len(unit.artifacts)) == ("acme-app", "sdist", 1)


def test_a_name_with_hyphens_is_told_apart_by_the_form(tmp_path: Path) -> None:
    built = build_sdist("acme", "1.0")
    old = Built("acme-2-app-1.0.tar.gz", sdist_of("acme-2-app-1.0", "acme-2-app"), b"")
    assert upload(tmp_path, built, {"name": "Acme"})[0][0] == "acme"
    assert upload(tmp_path, old, {"name": "acme.2.app"})[0][0] == "acme-2-app"
    assert upload(tmp_path, old)[0][0] == "acme-2-app"


def test_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    [(group, unit)] = upload(tmp_path, WHEEL)
    yanked = msgspec.structs.replace(unit, metadata={**unit.metadata, "yanked": "broken"})
    [(again, same)] = upload(tmp_path, WHEEL, held={group: [yanked]})
    assert again == group
    assert stored(same, group).metadata == stored(yanked, group).metadata
    assert [each.sha256 for each in same.artifacts] == [each.sha256 for each in unit.artifacts]


def test_other_bytes_under_a_held_name_are_a_conflict_in_the_words_of_clients(
    tmp_path: Path,
) -> None:
    [(group, unit)] = upload(tmp_path, WHEEL)
    other = build_wheel("acme-app", "1.0", padding=b"x")
    with pytest.raises(FileExists, match="already exists"):
        upload(tmp_path, other, held={group: [unit]})


def test_a_release_has_one_source_distribution(tmp_path: Path) -> None:
    [(group, unit)] = upload(tmp_path, SDIST)
    second = Built(
        "acme_app-1.0.zip", zipped({"acme_app-1.0/PKG-INFO": core_metadata("acme-app", "1.0")}), b""
    )
    assert upload(tmp_path, second)
    assert code_of(lambda: upload(tmp_path, second, held={group: [unit]})) == "sdist-exists"


def test_a_file_has_one_spelling(tmp_path: Path) -> None:
    [(group, wheel)] = upload(tmp_path, WHEEL)
    [(_, sdist)] = upload(tmp_path, SDIST)
    wheels = [
        build_wheel("acme-app", "1.0.0"),
        replace(WHEEL, filename="Acme_App-1.0-py3-none-any.whl"),
    ]
    for second in wheels:
        assert code_of(partial(upload, tmp_path, second, held={group: [wheel]})) == "file-exists"
    later = build_sdist("acme-app", "1.0.0")
    assert code_of(lambda: upload(tmp_path, later, held={group: [sdist]})) == "sdist-exists"
    assert upload(tmp_path, build_wheel("acme-app", "1.0.1"), held={group: [wheel, sdist]})


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "other"}, "name-mismatch"),
        ({"version": "1.1"}, "version-mismatch"),
        ({"version": "one"}, "version-mismatch"),
        ({"filetype": "sdist"}, "filetype-mismatch"),
        ({"filetype": "bdist_egg"}, "filetype-mismatch"),
        ({"blake2_256_digest": "00" * 32}, "digest-mismatch"),
        ({"md5_digest": "00" * 16}, "digest-mismatch"),
    ],
)
def test_a_form_about_another_file_is_refused(
    fields: dict[str, str], code: str, tmp_path: Path
) -> None:
    assert code_of(lambda: upload(tmp_path, WHEEL, fields)) == code


def test_a_form_that_says_the_same_otherwise_is_taken(tmp_path: Path) -> None:
    fields = {
        "name": "Acme.App",
        "version": "1.0.0",
        "filetype": "bdist_wheel",
        "md5_digest": hashlib.md5(WHEEL.content, usedforsecurity=False).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(WHEEL.content, digest_size=32).hexdigest().upper(),
        "unknown_field": "x",
    }
    assert upload(tmp_path, WHEEL, fields)


def wheel_of(**changes: bytes | None) -> bytes:
    members: dict[str, bytes] = {
        "acme_app.py": b"",
        f"{INFO}/METADATA": core_metadata("acme-app", "1.0"),
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n",
        f"{INFO}/RECORD": b"",
    }
    for path, content in changes.items():
        if content is None:
            del members[path]
        else:
            members[path] = content
    return zipped(members)


def metadata_of(*lines: str, version: str = "2.4") -> bytes:
    text = [f"Metadata-Version: {version}", "Name: acme-app", "Version: 1.0", *lines]
    return wheel_of(**{f"{INFO}/METADATA": "\n".join([*text, "", ""]).encode()})


def linked_zip() -> bytes:
    buffer = io.BytesIO(wheel_of())
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return buffer.getvalue()


def twice() -> bytes:
    """A zip with two members of one name; of equal length, so that it can be written."""
    content = zipped({"a.py": b"1", "b.py": b"2", f"{INFO}/WHEEL": b""})
    return content.replace(b"b.py", b"a.py")


def renamed_locally() -> bytes:
    """A zip whose first header names another member than its directory."""
    content = wheel_of()
    return content.replace(b"acme_app.py", b"evil_app.py", 1)


def hidden_data() -> bytes:
    """A zip with bytes between its members and the directory, which is moved accordingly."""
    content = wheel_of()
    start = struct.unpack_from("<L", content, len(content) - 6)[0]
    moved = content[:start] + b"PK\x03\x04hidden" + content[start:]
    return moved[:-6] + struct.pack("<L", start + 10) + moved[-2:]


def encrypted() -> bytes:
    content = bytearray(wheel_of())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


WHEELS: list[tuple[str, bytes, str]] = [
    ("text", b"no archive", "not-a-zip"),
    ("empty", b"", "not-a-zip"),
    ("cut off", wheel_of()[:-30], "not-a-zip"),
    ("bytes behind it", wheel_of() + b"x", "not-a-zip"),
    ("a comment", zipped({"a": b""}, comment=b"hello"), "not-a-zip"),
    ("bytes before it", b"#!/bin/sh\n" + wheel_of(), "ambiguous-zip"),
    ("hidden data", hidden_data(), "ambiguous-zip"),
    ("another name before the bytes", renamed_locally(), "ambiguous-zip"),
    ("one name twice", twice(), "duplicate-member"),
    ("a link", linked_zip(), "unsafe-link"),
    ("encrypted", encrypted(), "unsupported-compression"),
    (
        "packed by bzip2",
        zipped({"a": b"a" * 99}, compression=zipfile.ZIP_BZIP2),
        "unsupported-compression",
    ),
    ("a path upwards", wheel_of(**{"../evil.py": b""}), "unsafe-path"),
    ("an absolute path", wheel_of(**{"/evil.py": b""}), "unsafe-path"),
    ("a drive", wheel_of(**{"c:/evil.py": b""}), "unsafe-path"),
    ("a backslash", wheel_of(**{"a\\b.py": b""}), "unsafe-path"),
    ("a control character", wheel_of(**{"a\x1b.py": b""}), "unsafe-path"),
    ("a bomb", wheel_of(zeros=bytes(65 << 20)), "archive-bomb"),
    ("no RECORD", wheel_of(**{f"{INFO}/RECORD": None}), "incomplete-wheel"),
    ("no METADATA", wheel_of(**{f"{INFO}/METADATA": None}), "incomplete-wheel"),
    ("two releases", wheel_of(**{"b-1.dist-info/WHEEL": b""}), "incomplete-wheel"),
    ("no release", zipped({"a.py": b""}), "incomplete-wheel"),
    ("another release", zipped({"acme_app-2.0.dist-info/WHEEL": b""}), "wheel-mismatch"),
    ("another project", zipped({"other-1.0.dist-info/WHEEL": b""}), "wheel-mismatch"),
    ("no metadata version", wheel_of(**{f"{INFO}/METADATA": b"Name: a\n"}), "invalid-metadata"),
    ("metadata of the future", metadata_of(version="9.0"), "invalid-metadata"),
    ("an invalid requirement", metadata_of("Requires-Dist: ???"), "invalid-metadata"),
    ("an invalid specifier", metadata_of("Requires-Python: new"), "invalid-metadata"),
    ("two names", metadata_of("Name: other"), "invalid-metadata"),
    ("a missing licence", metadata_of("License-File: LICENSE"), "licence-file-missing"),
    (
        "metadata of another project",
        wheel_of(**{f"{INFO}/METADATA": core_metadata("other", "1.0")}),
        "name-mismatch",
    ),
    (
        "metadata of another version",
        wheel_of(**{f"{INFO}/METADATA": core_metadata("acme-app", "1.1")}),
        "version-mismatch",
    ),
]


@pytest.mark.parametrize(
    ("content", "code"), [each[1:] for each in WHEELS], ids=[each[0] for each in WHEELS]
)
def test_a_wheel_that_is_unsafe_or_incomplete_is_refused(
    content: bytes, code: str, tmp_path: Path
) -> None:
    assert code_of(lambda: upload(tmp_path, Built(WHEEL.filename, content, b""))) == code


@pytest.mark.parametrize(
    "content",
    [
        metadata_of("Requires-Dist: other @ https://example.org/other.whl"),
        metadata_of("Classifier: Private :: Do Not Upload"),
        metadata_of("License-File: LICENSE", version="2.1"),
        metadata_of("X-Of-A-Tool: yes"),
    ],
    ids=["direct reference", "private classifier", "early licence file", "unknown field"],
)
def test_what_a_public_index_alone_forbids_is_taken(content: bytes, tmp_path: Path) -> None:
    assert upload(tmp_path, Built(WHEEL.filename, content, b""))


def test_a_local_version_is_taken(tmp_path: Path) -> None:
    [(_, unit)] = upload(tmp_path, build_wheel("acme-app", "1.0+site.2"))
    assert unit.metadata["version"] == "1.0+site.2"


def member(name: str, content: bytes = b"", **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    info.size = len(content)
    return info, content


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue())


def sdist_of(top: str, name: str, *further: tuple[tarfile.TarInfo, bytes]) -> bytes:
    return tar_of(member(f"{top}/PKG-INFO", core_metadata(name, "1.0")), *further)


def odd(*further: tuple[tarfile.TarInfo, bytes]) -> bytes:
    return sdist_of("acme_app-1.0", "acme-app", *further)


SDISTS: list[tuple[str, bytes, str]] = [
    ("text", b"no archive", "unreadable-archive"),
    ("cut off", odd()[:-20], "unreadable-archive"),
    ("empty", gzip.compress(b""), "incomplete-sdist"),
    ("an archive behind its end", gzip.compress(2 * gzip.decompress(odd())), "ambiguous-tar"),
    ("no PKG-INFO", tar_of(member("acme_app-1.0/setup.py")), "incomplete-sdist"),
    ("PKG-INFO further down", tar_of(member("a/b/PKG-INFO")), "incomplete-sdist"),
    ("two folders", odd(member("other/setup.py")), "incomplete-sdist"),
    ("a path upwards", odd(member("acme_app-1.0/../../evil")), "unsafe-path"),
    ("an absolute path", odd(member("/etc/passwd")), "unsafe-path"),
    ("one name twice", odd(member("acme_app-1.0/PKG-INFO")), "duplicate-member"),
    (
        "a link out of it",
        odd(member("acme_app-1.0/link", type=tarfile.SYMTYPE, linkname="../../x")),
        "unsafe-link",
    ),
    (
        "an absolute link",
        odd(member("acme_app-1.0/link", type=tarfile.SYMTYPE, linkname="/etc")),
        "unsafe-link",
    ),
    (
        "a hard link out of it",
        odd(member("acme_app-1.0/link", type=tarfile.LNKTYPE, linkname="../x")),
        "unsafe-link",
    ),
    ("a device", odd(member("acme_app-1.0/null", type=tarfile.CHRTYPE)), "unsafe-member"),
    (
        "a sparse file",
        odd(member("acme_app-1.0/s", b"x", pax_headers={"GNU.sparse.map": "0,1"})),
        "unsafe-member",
    ),
    ("a bomb", odd(member("acme_app-1.0/zeros", bytes(65 << 20))), "archive-bomb"),
    (
        "metadata of another project",
        sdist_of("acme_app-1.0", "other"),
        "name-mismatch",
    ),
]


@pytest.mark.parametrize(
    ("content", "code"), [each[1:] for each in SDISTS], ids=[each[0] for each in SDISTS]
)
def test_a_source_distribution_that_is_unsafe_or_incomplete_is_refused(
    content: bytes, code: str, tmp_path: Path
) -> None:
    assert code_of(lambda: upload(tmp_path, Built(SDIST.filename, content, b""))) == code


def test_links_and_long_names_within_a_source_distribution_are_taken(tmp_path: Path) -> None:
    content = odd(
        member("acme_app-1.0/docs/" + "x" * 200 + "/a.txt", b"a"),
        member("acme_app-1.0/docs/link", type=tarfile.SYMTYPE, linkname="../PKG-INFO"),
        member("acme_app-1.0/hard", type=tarfile.LNKTYPE, linkname="acme_app-1.0/PKG-INFO"),
        member("acme_app-1.0/docs", type=tarfile.DIRTYPE),
    )
    assert upload(tmp_path, Built(SDIST.filename, content, b""))


@pytest.mark.parametrize(
    ("filename", "code"),
    [
        ("acme.exe", "unknown-filename"),
        ("readme.txt", "unknown-filename"),
        ("acme_app-1.0.tar.bz2", "unknown-filename"),
        (build_egg("acme", "1.0").filename, "unknown-filename"),
        ("acme.whl", "invalid-filename"),
        ("acme-one.tar.gz", "invalid-filename"),
        ("acme_app-one-py3-none-any.whl", "invalid-filename"),
        ("acme-app-1.0.linux-x86_64.tar.gz", "invalid-filename"),
    ],
)
def test_a_filename_that_says_no_release_is_refused(
    filename: str, code: str, tmp_path: Path
) -> None:
    assert code_of(lambda: upload(tmp_path, Built(filename, b"", b""))) == code


def request(*files: UploadedFile, accept: str = "*/*", **fields: str) -> ReceivedRequest:
    given = {**LEGACY, **{name.replace("action", ":action"): text for name, text in fields.items()}}
    return ReceivedRequest("POST", "legacy/", {}, {}, {"accept": accept}, given, list(files), "ada")


def receive(arrived: ReceivedRequest) -> Any:
    conduit: Any = FakeUploadConduit({}, options=None, importer=PythonImporter())
    return PythonPublisher().receive(conduit, arrived)


def test_the_legacy_endpoint_answers_200_with_and_without_its_slash(tmp_path: Path) -> None:
    received = receive(request(sent(tmp_path, WHEEL)))
    assert received.answer.status == 200
    assert [unit.key for _, unit in received.units] == [WHEEL.filename]
    for path in ("legacy", "legacy/", "upload/"):
        assert set(matched_endpoints(PythonPublisher.endpoints, path)) == {"POST"}


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"action": ""}, "unknown-action", 400),
        ({"action": "remove_pkg"}, "unknown-action", 400),
        ({"action": "submit"}, "action-removed", 410),
        ({"action": "doc_upload"}, "action-removed", 410),
        ({"protocol_version": "2"}, "unknown-protocol-version", 400),
    ],
)
def test_a_request_for_something_else_is_refused(
    fields: dict[str, str], code: str, status: int, tmp_path: Path
) -> None:
    arrived = request(sent(tmp_path, WHEEL), **fields)
    with pytest.raises(UploadRefused) as caught:
        receive(arrived)
    answer = error_answer(arrived, 400, caught.value)
    assert (caught.value.code, answer.status) == (code, status)


def test_a_form_holds_one_file(tmp_path: Path) -> None:
    file = sent(tmp_path, WHEEL)
    assert code_of(lambda: receive(request())) == "no-file"
    assert code_of(lambda: receive(request(file, file))) == "several-files"


def test_errors_come_with_their_code_as_text_or_as_a_problem(tmp_path: Path) -> None:
    error = FileExists("file-exists", "File already exists", hint="raise the version")
    text = error_answer(request(), 409, error)
    assert (text.status, text.body) == (
        409,
        b"File already exists [file-exists]\nhint: raise the version\n",
    )
    answer = error_answer(request(accept="application/json;q=0.9, text/plain;q=.8"), 409, error)
    assert answer.media_type == "application/problem+json"
    assert msgspec.json.decode(answer.body) == {
        "status": 409,
        "title": "File already exists",
        "detail": "raise the version",
        "code": "file-exists",
    }
