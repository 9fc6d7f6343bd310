"""Tests with pages that fail or are malformed."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.plan import REMOVE, ContentChanges
from reconciler.plugin.importer import low_level
from reconciler.plugin.testing.base_tests import BaseTests, apply_or_skip, skip
from reconciler.plugin.testing.sandbox import Sandbox
from reconciler.plugin.testing.subject import Subject

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

# the core's message for an exception that no plugin raises on purpose
_UNEXPECTED = re.compile(r"` failed: [A-Z]\w*")


class ReadingTests(BaseTests):
    """Tests with one broken page at a time; pages of artifacts are read by the core."""

    def test_a_failure_is_not_an_absence(self, tmp_path: Path) -> None:
        """A page that fails is reported, and nothing is removed because of it."""
        with self._sandbox(tmp_path / "site") as sandbox:
            apply_or_skip(sandbox)
            pages = _pages_read(sandbox)
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
            apply_or_skip(clean)
            pages = _pages_read(clean)
            if low_level(clean.registry.importer(clean.subject.id).cls):  # type: ignore[arg-type]  # an importer's class is one
                skip("a low-level importer: `sync` fails as a whole")
            if len({unit.group for unit in clean.units()}) < 2 or len(pages) < 2:
                skip("there is one group, or one page that lists all of them")
            isolated = any(
                _adds_groups(clean.subject, tmp_path / f"bad-{number}", path)
                for number, path in enumerate(pages)
            )
            assert isolated, (
                f"every group fails, whichever of {pages} is broken: read the pages of a group in"
                " `read`, where a failure affects that group alone, not in `declare`"
            )

    def test_malformed_pages_are_reported(self, tmp_path: Path) -> None:
        """A malformed page raises Malformed, naming the page, and no other exception."""
        with self._sandbox(tmp_path / "clean") as clean:
            apply_or_skip(clean)
            for number, path in enumerate(_pages_read(clean)):
                whole = clean.subject.upstream.pages.get(path, b"")
                for kind, body in enumerate((*NONSENSE, whole[: len(whole) // 2])):
                    with clean.subject.upstream.broken(path, body):
                        plan = Sandbox(clean.subject, tmp_path / f"nonsense-{number}-{kind}").plan()
                    for failure in clean.content(plan).failures:
                        assert not _UNEXPECTED.search(failure.message), (
                            f"`{path}` with the body {body!r:.100} makes the importer fail:"
                            f" {failure.message}; raise Malformed, naming the page"
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
        with sandbox.subject.upstream.watched() as asked:
            fresh = Sandbox(sandbox.subject, folder).plan()
        # a page that is named by its digest is another one after the change
        assert fresh.failed or path not in asked, (
            f"`{path}` answers {status} in a first sync, and the plan reports no failure: do not"
            " catch the error"
        )


def _pages_read(sandbox: Sandbox) -> list[str]:
    """Return the pages that a first sync reads, without those of artifacts."""
    with sandbox.subject.upstream.watched() as asked:
        Sandbox(sandbox.subject, sandbox.folder / "asking").plan()
    return sorted(asked)


def _adds_groups(subject: Subject, folder: Path, path: str) -> bool:
    """Return True if groups are added although `path` fails."""
    with subject.upstream.broken(path):
        return bool(_added(Sandbox(subject, folder)))


def _added(sandbox: Sandbox) -> int:
    return sandbox.content(sandbox.plan()).counts.added


def _removed_units(content: ContentChanges) -> set[str]:
    return {
        f"{change.head.name}: {line.key}"
        for change in content.spool
        for line in change.lines
        if line.op == REMOVE
    }
