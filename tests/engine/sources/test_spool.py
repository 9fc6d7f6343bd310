"""The spool: groups in name order whatever order they came in, on disk when they are many, settled
where sources share a group.
"""

from __future__ import annotations

from itertools import permutations

import msgspec

from reconciler.engine.sources.spool import SpoolWriter
from reconciler.model import Digest
from reconciler.plan import ADD, MOVE, REFUSE, REMOVE, ChangeLine, Counts, GroupChange, GroupLine

DIGEST, OTHER = Digest.parse("1" * 64), Digest.parse("2" * 64)


def a_change(
    name: str, *lines: ChangeLine, source: str = "remote:a", validator: str | None = None
) -> GroupChange:
    return GroupChange(GroupLine(name, source, validator=validator), list(lines))


def a_line(op: str, key: str = "k", digest: Digest | None = DIGEST, **rest: object) -> ChangeLine:
    return ChangeLine(op, "test.file", key, digest, **rest)  # type: ignore[arg-type]  # fields of the class


def test_groups_come_back_in_order_and_counted() -> None:
    changes = [a_change(name, a_line(ADD, download=7)) for name in ("b", "a", "c")]
    digests = set()
    for order in permutations(changes):
        writer = SpoolWriter()
        for change in order:
            writer.add([change])
        spool, counts = writer.close()
        assert [change.head.name for change in spool] == ["a", "b", "c"]
        assert list(spool) == sorted(changes, key=lambda change: change.head.name), (
            "any number of times"
        )
        assert counts == Counts(added=3, download=21)
        digests.add(spool.digest)
    assert len(digests) == 1


def test_many_groups_go_to_a_file_and_come_back() -> None:
    writer = SpoolWriter()
    padding = msgspec.Raw(msgspec.json.encode("x\n\r\u2028" * 10_000))
    writer.add(
        a_change(f"g{number:03}", a_line(ADD, body=padding)) for number in reversed(range(200))
    )
    spool, counts = writer.close()
    assert counts.added == 200
    assert [change.head.name for change in spool] == [f"g{number:03}" for number in range(200)]
    assert all(bytes(change.lines[0].body) == bytes(padding) for change in spool)


def test_two_readers_do_not_disturb_each_other() -> None:
    writer = SpoolWriter()
    writer.add(a_change(name, a_line(ADD)) for name in "abc")
    spool, _ = writer.close()
    assert [(one.head.name, two.head.name) for one, two in zip(spool, spool, strict=True)] == [
        (name, name) for name in "abc"
    ]


def test_what_leaves_one_source_and_joins_another_only_changes_hands() -> None:
    writer = SpoolWriter()
    writer.add(
        [
            a_change("a", a_line(ADD), source="remote:b"),
            a_change("z", a_line(ADD)),
            a_change("a", a_line(REMOVE)),
        ]
    )
    spool, counts = writer.close()
    assert [(change.head.name, change.head.source, change.lines[0].op) for change in spool] == [
        ("a", "remote:a", MOVE),
        ("a", "remote:b", MOVE),
        ("z", "remote:a", ADD),
    ]
    assert (counts.added, counts.removed, counts.moved) == (1, 0, 2)


def test_a_key_that_one_source_frees_is_another_sources() -> None:
    waiting = a_line(REFUSE, digest=OTHER, body=msgspec.Raw(b"{}"), reason="held by remote:a")
    writer = SpoolWriter()
    writer.add([a_change("a", waiting, source="remote:b"), a_change("a", a_line(REMOVE))])
    spool, counts = writer.close()
    assert [change.lines[0].op for change in spool] == [REMOVE, ADD]
    assert (counts.added, counts.removed, dict(counts.refused)) == (1, 1, {})


def test_the_digest_tells_plans_apart_and_not_the_pages_they_were_read_from() -> None:
    def digest(change: GroupChange) -> object:
        writer = SpoolWriter()
        writer.add([change])
        return writer.close()[0].digest

    first = digest(a_change("a", a_line(ADD), validator="etag:1"))
    assert first == digest(a_change("a", a_line(ADD), validator="etag:2"))
    assert first != digest(a_change("a", a_line(ADD, digest=OTHER), validator="etag:1"))
    assert first != digest(a_change("b", a_line(ADD), validator="etag:1"))
