"""Large pages are streamed out of their chunks; clients see bodies as any other."""

from __future__ import annotations

import gzip
import random
import zlib
from pathlib import Path

import pytest

from reconciler.model import Digest
from tests.serve.team import ask
from tests.support.published import Published

CONTENTS = [random.Random(number).randbytes(4_000).hex().encode() for number in range(30)]
GZIP = ("Accept-Encoding", "gzip")


def site(tmp_path: Path) -> tuple[Published, bytes, bytes]:
    """Return what is published, with the bodies of `plain` and `packed.gz`."""
    published = Published(folder=tmp_path)
    mount = published.mount("team")
    plain = published.chunked_page(mount, "plain", CONTENTS)
    packed = published.chunked_page(mount, "packed.gz", CONTENTS, gzip_file=True)
    return published, plain, packed


def test_a_page_in_chunks_is_sent_as_a_whole(tmp_path: Path) -> None:
    published, plain, packed = site(tmp_path)
    assert gzip.decompress(packed) == plain
    assert zlib.decompressobj(31).decompress(packed) == plain  # one member, as clients expect
    for path, body in (("plain", plain), ("packed.gz", packed)):
        answer = ask(published, f"/team/{path}")
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["content-length"] == str(len(body))
        assert answer.headers["etag"] == f'"{Digest.of(body).hex}"'
        assert answer.pieces > 3


def test_it_is_sent_with_gzip_to_who_accepts_it_unless_it_is_compressed(tmp_path: Path) -> None:
    published, plain, packed = site(tmp_path)
    answer = ask(published, "/team/plain", GZIP)
    assert answer.headers["content-encoding"] == "gzip"
    assert (answer.body, answer.headers["content-length"]) == (packed, str(len(packed)))
    assert answer.headers["etag"] == f'"{Digest.of(plain).hex}-gzip"'
    answer = ask(published, "/team/packed.gz", GZIP)
    assert "content-encoding" not in answer.headers
    assert answer.body == packed


@pytest.mark.parametrize("path", ["plain", "packed.gz"])
@pytest.mark.parametrize(("start", "stop"), [(0, 1), (7_990, 8_020), (100_000, None), (5, 90_000)])
def test_parts_are_what_was_asked_for(
    tmp_path: Path, path: str, start: int, stop: int | None
) -> None:
    published, plain, packed = site(tmp_path)
    body = plain if path == "plain" else packed
    last = "" if stop is None else stop - 1
    answer = ask(published, f"/team/{path}", ("Range", f"bytes={start}-{last}"))
    assert (answer.status, answer.body) == (206, body[start:stop])
    assert answer.headers["content-length"] == str(len(body[start:stop]))


def test_conditions_and_impossible_parts_are_answered_without_a_body(tmp_path: Path) -> None:
    published, plain, _ = site(tmp_path)
    known = ask(published, "/team/plain", ("If-None-Match", f'"{Digest.of(plain).hex}"'))
    assert (known.status, known.body) == (304, b"")
    beyond = ask(published, "/team/plain", ("Range", f"bytes={len(plain)}-"))
    assert (beyond.status, beyond.body) == (416, b"")


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_nothing_is_sent_of_a_damaged_chunk(tmp_path: Path, damage: str) -> None:
    published, _, _ = site(tmp_path)
    kept = published.kept_chunks
    first, *_, last = kept
    sound = kept.pop(last)
    if damage == "changed":
        kept[last] = bytes(len(sound))
    with pytest.raises(EOFError, match="a part of a page"):  # the connection breaks
        ask(published, "/team/plain")
    kept[first] = bytes(8)
    assert ask(published, "/team/plain").status == 503
