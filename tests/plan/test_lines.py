"""Lines of a spool: their digests are written as bare hex and read as digests."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Digest
from reconciler.plan import CHANGE, ChangeLine, GroupLine, decode_line, encode_line

DIGESTS = st.none() | st.binary(min_size=32, max_size=32).map(Digest)


@given(DIGESTS, DIGESTS)
def test_a_change_is_read_as_it_was_written(digest: Digest | None, before: Digest | None) -> None:
    line = ChangeLine(CHANGE, "test.file", "key", digest, before)
    row = encode_line(line)
    assert decode_line(row) == line
    written = json.loads(row)
    assert written.get("digest") == (digest.hex if digest else None)
    assert written.get("before") == (before.hex if before else None)


@given(DIGESTS, DIGESTS)
def test_the_head_of_a_group_is_read_as_it_was_written(
    was: Digest | None, selection: Digest | None
) -> None:
    head = GroupLine("alpha", "remote:up", was, "validator", selection)
    row = encode_line(head)
    assert decode_line(row) == head
    written = json.loads(row)
    assert written.get("was") == (was.hex if was else None)
    assert written.get("selection") == (selection.hex if selection else None)


def test_a_line_is_canonical_json() -> None:
    line = ChangeLine(CHANGE, "test.file", "key", Digest(b"\x01" * 32), Digest(b"\x02" * 32))
    assert encode_line(line) == (
        b'{"before":"' + b"02" * 32 + b'","digest":"' + b"01" * 32 + b'","key":"key",'
        b'"line":"change","op":"~","type":"test.file"}'
    )
