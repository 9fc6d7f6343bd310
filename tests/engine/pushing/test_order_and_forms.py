"""The order of pushes, and the body of one: pure parts."""

from __future__ import annotations

import asyncio
import io
from email.parser import BytesParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from reconciler.engine.pushing.form_bodies import FormBody
from reconciler.engine.pushing.pushes import needed_first
from reconciler.plugin import UploadForm

NAMES = some.sampled_from("abcdef")


def test_a_group_comes_after_those_that_it_needs() -> None:
    needs = {"a": {"c", "elsewhere"}, "b": {"a"}, "c": {"d"}, "d": set[str](), "z": set[str]()}
    assert needed_first(needs) == ["d", "c", "a", "b", "z"]


@given(some.dictionaries(NAMES, some.sets(NAMES)))
def test_every_group_comes_once_and_circles_come_to_an_end(needs: dict[str, set[str]]) -> None:
    order = needed_first(needs)
    assert sorted(order) == sorted(needs)
    assert order == needed_first(dict(reversed(needs.items())))


@given(some.dictionaries(NAMES, some.sets(NAMES)))
def test_without_circles_nothing_comes_before_what_it_needs(needs: dict[str, set[str]]) -> None:
    acyclic = {name: {each for each in own if each < name} for name, own in needs.items()}
    order = needed_first(acyclic)
    for name, own in acyclic.items():
        assert all(order.index(each) < order.index(name) for each in own & acyclic.keys())


def test_the_body_is_a_form_of_known_length_that_can_be_sent_again() -> None:
    fields = [("name", "ä app"), ("classifiers", "one"), ("classifiers", "two"), ("text", "a\r\nb")]
    form = UploadForm(fields, "content", 'odd"name.whl')
    counted: list[int] = []
    body = FormBody(form, lambda: io.BytesIO(b"bytes"), 5, counted=counted.append)

    async def read() -> bytes:
        return b"".join([piece async for piece in body.pieces()])

    first, second = asyncio.run(read()), asyncio.run(read())
    assert first == second
    assert len(first) == body.length
    assert sum(counted) == 5
    head = f"Content-Type: {body.media_type}\r\n\r\n".encode()
    parts: Any = BytesParser().parsebytes(head + first).get_payload()
    shown = [part.get_payload(decode=True) for part in parts]
    assert shown == [*(value.encode() for _, value in fields), b"bytes"]
    assert 'filename="odd%22name.whl"' in str(parts[-1]["Content-Disposition"])
