"""What does the importer make of an upstream that fails, or sends anything at all?"""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.plan import REMOVE, ContentChanges
from reconciler.plugin.importer import low_level
from reconciler.plugin.testing.examination import Examination, applied, skip
from reconciler.plugin.testing.subject import Subject
from reconciler.plugin.testing.trial import Trial

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
FAILURES = (500, 403)  # nobody there, and nobody let in

_STUMBLED = re.compile(
    r"` failed: [A-Z]\w*"
)  # the words of the core for an exception that no plugin raises on purpose


class Reading(Examination):
    """Tests with one broken page after the other. Pages of artifacts are the core's own business."""

    def test_a_failure_is_not_an_absence(self, tmp_path: Path) -> None:
        """Whichever page fails: the failure is told, and nothing leaves because of it."""
        with self._trial(tmp_path / "site") as trial:
            applied(trial)
            pages = _pages_asked(trial)
            for change in trial.subject.changes[:1]:
                change(trial.subject.upstream)
            allowed = _leaving(trial.content(trial.plan()))
            for number, path in enumerate(pages):
                for status in FAILURES:
                    _check_told(trial, tmp_path / f"new-{number}-{status}", path, status, allowed)

    def test_one_bad_group_takes_no_other_down(self, tmp_path: Path) -> None:
        """What is wrong with one group's pages is that group's failure: the others come in."""
        with self._trial(tmp_path / "clean") as clean:
            applied(clean)
            pages = _pages_asked(clean)
            if low_level(clean.registry.importer(clean.subject.id).cls):  # type: ignore[arg-type]  # an importer's class is one
                skip("a low-level importer: `sync` fails as a whole")
            if len({unit.group for unit in clean.units()}) < 2 or len(pages) < 2:
                skip("one group, or one page that tells of all of them")
            alone = any(
                _survivors(clean.subject, tmp_path / f"bad-{number}", path)
                for number, path in enumerate(pages)
            )
            assert alone, (
                f"whichever of {pages} is bad, every group fails: read a group's pages in `read`,"
                " where a failure is that group's alone, and not in `declare`"
            )

    def test_nonsense_is_refused_by_name(self, tmp_path: Path) -> None:
        """Upstream may send anything: it is refused as Malformed, with the page named, and not by
        an accident of the plugin's code.
        """
        with self._trial(tmp_path / "clean") as clean:
            applied(clean)
            for number, path in enumerate(_pages_asked(clean)):
                whole = clean.subject.upstream.pages.get(path, b"")
                for kind, body in enumerate((*NONSENSE, whole[: len(whole) // 2])):
                    with clean.subject.upstream.broken(path, body):
                        plan = Trial(clean.subject, tmp_path / f"nonsense-{number}-{kind}").plan()
                    for failure in clean.content(plan).failures:
                        assert not _STUMBLED.search(failure.message), (
                            f"`{path}` with the body {body!r:.100} makes the importer stumble:"
                            f" {failure.message}; raise Malformed, naming the page"
                        )


def _check_told(trial: Trial, folder: Path, path: str, status: int, allowed: set[str]) -> None:
    """A page fails, for a site that has been there and for a new one. `allowed`: what leaves
    anyway.
    """
    with trial.subject.upstream.broken(path, status=status):
        with trial.subject.upstream.watched() as asked:
            plan = trial.plan()
        gone = sorted(_leaving(trial.content(plan)) - allowed)
        assert not gone, (
            f"`{path}` answers {status}, and the plan removes {gone}: a failure must be raised, it"
            " is no absence; let the error pass"
        )
        assert plan.failed or path not in asked, (
            f"`{path}` answers {status}, and nothing is said of it: let the error pass"
        )
        fresh = Trial(trial.subject, folder).plan()
        assert fresh.failed, (
            f"`{path}` answers {status} in a first sync, and nothing is said of it: let the error"
            " pass"
        )


def _pages_asked(trial: Trial) -> list[str]:
    """The pages that a first sync of the upstream reads, those of artifacts aside."""
    with trial.subject.upstream.watched() as asked:
        Trial(trial.subject, trial.folder / "asking").plan()
    return sorted(asked)


def _survivors(subject: Subject, folder: Path, path: str) -> bool:
    """Do any groups come in although `path` fails?"""
    with subject.upstream.broken(path):
        return bool(_added(Trial(subject, folder)))


def _added(trial: Trial) -> int:
    return trial.content(trial.plan()).counts.added


def _leaving(content: ContentChanges) -> set[str]:
    return {
        f"{change.head.name}: {line.key}"
        for change in content.spool
        for line in change.lines
        if line.op == REMOVE
    }
