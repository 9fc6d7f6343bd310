"""Uploads: what a `.deb` says of itself, read within limits, becomes a unit."""

from __future__ import annotations

import gzip
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import Refused, UploadedFile
from reconciler_deb.options.source_options import SourceOptions
from reconciler_deb.uploads.sent_packages import place_package
from tests.support.apt import ar, control, deb, paragraph, tar

TEXT = control("libfoo1", "2:1.0~x", Depends="libc6")
DATA = {"data.tar": tar({})}
START = {"debian-binary": b"2.0\n"}


def sent(folder: Path, body: bytes) -> UploadedFile:
    (folder / "sent").write_bytes(body)
    return UploadedFile("sent.deb", folder / "sent", len(body), sha256(body).hexdigest())


def options(**keys: Any) -> SourceOptions:
    return SourceOptions.model_validate(keys)


def packed(text: bytes) -> bytes:
    return ar({**START, "control.tar.gz": gzip.compress(tar({"control": text})), **DATA})


@pytest.mark.parametrize("ending", [".xz", ".gz", ""])
def test_a_package_becomes_the_unit_that_an_archive_would_list(tmp_path: Path, ending: str) -> None:
    body = deb(TEXT, ending)
    [(group, unit)] = place_package(sent(tmp_path, body), {}, options(suites=["stable"]))
    path = "pool/main/libf/libfoo1/libfoo1_1.0~x_amd64.deb"
    assert (group, unit.key) == ("libfoo1", "stable/libfoo1_2:1.0~x_amd64")
    assert unit.metadata["paragraph"] == paragraph(TEXT, body, path).strip("\n")
    assert [(file.path, file.url) for file in unit.artifacts] == [(path, "")]


@pytest.mark.parametrize(
    ("keys", "fields", "place"),
    [
        ({"suites": ["a", "b"]}, {"suite": "b"}, ("b", "main")),
        ({"suites": ["a"], "components": ["x", "y"]}, {"component": "y"}, ("a", "y")),
        ({}, {"suite": "a", "component": "main"}, ("a", "main")),
        ({"suites": ["a", "b"]}, {}, "names no suite"),
        ({"suites": ["a"]}, {"suite": "b"}, "`b` is no suite"),
        ({}, {"suite": "../a"}, "no suite"),
        ({"suites": ["a"]}, {"component": "x"}, "`x` is no component"),
    ],
)
def test_the_form_says_where_it_belongs(
    tmp_path: Path, keys: dict[str, Any], fields: dict[str, str], place: str | tuple[str, str]
) -> None:
    file = sent(tmp_path, deb(TEXT))
    if isinstance(place, str):
        with pytest.raises(Refused, match=place):
            place_package(file, fields, options(**keys))
        return
    [(_, unit)] = place_package(file, fields, options(**keys))
    assert (unit.metadata["suite"], unit.metadata["component"]) == place


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"!<arch>\n",
        b"text",
        deb(TEXT)[:-700],
        ar({**START, **DATA}),
        ar({"x": b"", **START, **DATA}),
        ar({**START, "control.tar.gz": b"text", **DATA}),
        ar({**START, "control.tar.foo": b"text", **DATA}),
        ar({**START, "control.tar": tar({"other": b""}), **DATA}),
        ar({**START, **{f"x{number}": b"" for number in range(20)}}),
        packed(TEXT.encode() + b"SHA256: x\n"),
        packed(TEXT.encode() + b"\nPackage: evil\n"),
        packed(TEXT.replace("libfoo1", "../x").encode()),
        packed(TEXT.replace("2:1.0~x", "1/2").encode()),
        packed(TEXT.replace("amd64", "a/b").encode()),
        ar({**START, "control.tar.gz": gzip.compress(bytes(65 * 1024 * 1024)), **DATA}),
    ],
)  # fmt: skip
def test_a_hostile_package_is_refused(tmp_path: Path, body: bytes) -> None:
    """Kind: a file that costs more than it should, or that names what is not its own."""
    with pytest.raises(Refused):
        place_package(sent(tmp_path, body), {}, options(suites=["stable"]))
