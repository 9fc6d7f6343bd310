"""Hostile bytes: whatever an archive or an uploader sends, one kind of error comes of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.plugin import Malformed
from reconciler_deb.control.compression import unpack
from reconciler_deb.control.packages import read_control
from reconciler_deb.control.relations import parse_relations
from reconciler_deb.reading.listings import Listing
from reconciler_deb.reading.units import listed_units
from reconciler_deb.releases.release_file import parse_release
from tests.support.apt import control, deb, paragraph, release_text

PARAGRAPH = paragraph(control("nginx", Depends="a | b"), b"deb", "pool/nginx.deb").encode()
RELEASE = release_text({"main/x": b"x"}, Date="Mon, 05 Jan 2026 10:00:00 UTC")
FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def spoiled(body: bytes) -> st.SearchStrategy[bytes]:
    """The body with some of its bytes replaced by others."""
    noise = st.binary(max_size=8) | st.sampled_from([b"\n", b"\n\n", b": ", b" ", b"(", b"\0"])
    place = st.integers(0, len(body))
    return st.builds(lambda at, to, add: body[:at] + add + body[at + to :], place, place, noise)


@FEW
@given(spoiled(PARAGRAPH))
def test_a_spoiled_paragraph_is_refused_or_read(body: bytes) -> None:
    listing = Listing()
    listing.add("stable", "main", "amd64", body=body)
    for name, entries in listing.packages.items():
        for unit in listed_units(name, entries, "https://x/", refuse=lambda key, reason: None):
            assert unit.key.startswith(f"stable/{name}_")


@FEW
@given(spoiled(RELEASE))
def test_a_spoiled_release_is_refused_or_read(body: bytes) -> None:
    try:
        release = parse_release(body)
        assert release.date is None or release.date.tzinfo is not None
    except Malformed:
        pass


@FEW
@given(spoiled(deb(control("x"), ".gz")))
def test_a_spoiled_package_is_refused_or_read(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(body)
    with contextlib.suppress(Malformed):
        assert read_control(path)


@FEW
@given(st.text(max_size=40))
def test_a_spoiled_relation_is_refused_or_read(text: str) -> None:
    with contextlib.suppress(Malformed):
        parse_relations(text)


@FEW
@given(st.binary(max_size=64), st.sampled_from([".gz", ".xz", ".zst", ".bz2", ".lzma", ".x"]))
def test_what_is_not_compressed_is_refused(body: bytes, ending: str) -> None:
    if body:
        with pytest.raises(Malformed):
            unpack(body, ending, limit=1000)
