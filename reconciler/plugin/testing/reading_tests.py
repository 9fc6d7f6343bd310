"""Tests with pages that fail or are malformed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from reconciler.plan import REMOVE, ContentChanges
from reconciler.plugin.importer import low_level
from reconciler.plugin.testing.base_tests import BaseTests, apply_or_skip, skip
from reconciler.plugin.testing.sandbox import Sandbox
from reconciler.plugin.testing.subject import Subject
from reconciler.plugin.testing.upstream import Upstream

NONSENSE = (
    b"",
    b"\xff\xfe\x00",
    b"nonsense",
    b"[[[[",
    b"null",
    b"[1]",
    b"[{}]",
    b'{"a": 1}',
    b'{"a": [1, null, {"b": {}}]}',
)
FAILURES = (500, 403)  # unavailable, and forbidden
_PACKED: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
}

# the core's message for an exception that no plugin raises on purpose
_UNEXPECTED = re.compile(r"` failed: [A-Z]\w*")


class ReadingTests(BaseTests):
    """Tests with one broken page at a time; pages of artifacts are read by the core."""

    def test_a_failure_is_not_an_absence(self, tmp_path: Path) -> None:
        """A page that fails is reported, and nothing is removed because of it."""
        with self._sandbox(tmp_path / "site") as sandbox:
            sandbox.documents = sandbox.without_publication()
            apply_or_skip(sandbox)
            pages = _first_sync(sandbox).pages
            for change in sandbox.subject.changes[:1]:
                change(sandbox.subject.upstream)
            expected = _removed_units(sandbox.content(sandbox.plan()))
            for number, path in enumerate(pages):
                for status in FAILURES:
                    _check_failure(
                        sandbox,
                        tmp_path / f"new-{number}-{status}",
                        path,
                        status=status,
                        expected=expected,
                    )

    def test_a_failing_group_does_not_affect_others(self, tmp_path: Path) -> None:
        """A page that fails makes its own group fail; the other groups are synced."""
        with self._sandbox(tmp_path / "clean") as clean:
            if low_level(clean.registry.importer(clean.subject.id).cls):  # type: ignore[arg-type]  # an importer's class is one
                skip("a low-level importer: `sync` fails as a whole")
            first = _first_sync(clean)
            if len(first.groups) < 2 or len(first.pages) < 2:
                skip("there is one group, or one page that lists all of them")
            if any(
                _adds_groups(clean.subject, tmp_path / f"bad-{number}", path)
                for number, path in enumerate(first.pages)
            ):
                return
            own = pages_of_one_group(clean.subject.upstream, first.pages, first.groups)
            if set(own.values()) != set(first.groups):
                skip("no group has a page of its own: each page is about all of the source")
            raise AssertionError(
                f"every group fails, whichever of {first.pages} is broken: read {sorted(own)},"
                " which are about one group each, in `read`, where a failure affects that group"
                " alone, not in `declare`"
            )

    def test_malformed_pages_are_reported(self, tmp_path: Path) -> None:
        """A malformed page raises Malformed, naming the page, and no other exception."""
        with self._sandbox(tmp_path / "clean") as clean:
            pages = _first_sync(clean).pages
            for number in range(len(NONSENSE) + 1):
                _check_malformed(clean, tmp_path / f"nonsense-{number}", pages, number=number)


def _check_malformed(sandbox: Sandbox, folder: Path, pages: Sequence[str], *, number: int) -> None:
    """Check what is said of malformed pages: of as many at once as are reported one by one."""
    left, step = list(pages), 0
    while left:
        step += 1
        asked, messages = _failures(sandbox, folder / str(step), left, number=number)
        if len(asked) > 1 and len(messages) < len(asked):
            for place, path in enumerate(sorted(asked)):
                _, messages = _failures(sandbox, folder / f"{step}-{place}", [path], number=number)
                _check_messages(messages, [path], number)
        else:
            _check_messages(messages, sorted(asked), number)
        if not asked:
            return
        left = [path for path in left if path not in asked]


def _failures(
    sandbox: Sandbox, folder: Path, pages: Sequence[str], *, number: int
) -> tuple[set[str], list[str]]:
    """Return which of the malformed pages a first sync asked for, and the failures of it."""
    upstream = sandbox.subject.upstream
    with ExitStack() as broken:
        for path in pages:
            broken.enter_context(upstream.broken(path, _malformed(upstream, path, number)))
        reading = _reading(sandbox.subject, folder)
        with upstream.watched() as asked:
            content = reading.content(reading.plan())
    return asked & {*pages}, [failure.message for failure in content.failures]


def _malformed(upstream: Upstream, path: str, number: int) -> bytes:
    whole = upstream.pages.get(path, b"")
    return NONSENSE[number] if number < len(NONSENSE) else whole[: len(whole) // 2]


def _check_messages(messages: Sequence[str], pages: Sequence[str], number: int) -> None:
    body = NONSENSE[number] if number < len(NONSENSE) else "half of what it was"
    for message in messages:
        assert not _UNEXPECTED.search(message), (
            f"{' or '.join(f'`{path}`' for path in pages)} with the body {body!r} makes the"
            f" importer fail: {message}; raise Malformed, naming the page"
        )


def _check_failure(
    sandbox: Sandbox, folder: Path, path: str, *, status: int, expected: set[str]
) -> None:
    """Check how an existing and a new repository react to a page that fails.

    `expected`: units that are removed anyway.
    """
    with sandbox.subject.upstream.broken(path, status=status):
        with sandbox.subject.upstream.watched() as asked:
            plan = sandbox.plan()
        gone = sorted(_removed_units(sandbox.content(plan)) - expected)
        assert not gone, (
            f"`{path}` answers {status}, and the plan removes {gone}: a failure is not an absence;"
            " do not catch the error"
        )
        assert plan.failed or path not in asked, (
            f"`{path}` answers {status}, and the plan reports no failure: do not catch the error"
        )
        if status != FAILURES[0]:
            return
        with sandbox.subject.upstream.watched() as asked:
            fresh = _reading(sandbox.subject, folder).plan()
        # a page that is named by its digest is another one after the change
        assert fresh.failed or path not in asked, (
            f"`{path}` answers {status} in a first sync, and the plan reports no failure: do not"
            " catch the error"
        )


class _FirstSync(NamedTuple):
    """The reads of a sync into an empty repository. `groups`: keys of units by group.

    `pages` are those of the source, without those of artifacts.
    """

    pages: list[str]
    groups: Mapping[str, Sequence[str]]


def _first_sync(sandbox: Sandbox) -> _FirstSync:
    reading = _reading(sandbox.subject, sandbox.folder / "asking")
    with sandbox.subject.upstream.watched() as asked:
        content = reading.content(reading.plan())
    if content.failures:
        skip("a sync failed: see `test_every_sync_succeeds`")
    groups = {change.head.name: [line.key for line in change.lines] for change in content.spool}
    return _FirstSync(sorted(asked), groups)


def _reading(subject: Subject, folder: Path) -> Sandbox:
    """Return a new sandbox that publishes nothing."""
    sandbox = Sandbox(subject, folder)
    sandbox.documents = sandbox.without_publication()
    return sandbox


def pages_of_one_group(
    upstream: Upstream, pages: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the group of each page that is about one group alone.

    That is so where its path, or else its content, names the group, or units of it, and no other.
    """
    named = {group: _any_of({group, *keys}) for group, keys in groups.items()}
    own = {}
    for path in pages:
        for text in (path, _text(upstream.pages.get(path, b""))):
            about = [group for group, names in named.items() if names.search(text)]
            if about:
                break
        if len(about) == 1:
            own[path] = about[0]
    return own


def _any_of(words: Collection[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)")


def _text(body: bytes) -> str:
    """Return a page as text, unpacked where it is packed."""
    unpack = next((unpack for magic, unpack in _PACKED.items() if body.startswith(magic)), bytes)
    with suppress(OSError, EOFError, lzma.LZMAError, zlib.error):
        body = unpack(body)
    return body.decode(errors="replace")


def _adds_groups(subject: Subject, folder: Path, path: str) -> bool:
    """Return True if groups are added although `path` fails."""
    with subject.upstream.broken(path):
        sandbox = _reading(subject, folder)
        return bool(sandbox.content(sandbox.plan()).counts.added)


def _removed_units(content: ContentChanges) -> set[str]:
    return {
        f"{change.head.name}: {line.key}"
        for change in content.spool
        for line in change.lines
        if line.op == REMOVE
    }
