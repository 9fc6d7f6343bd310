"""Upstream changes of committed files: `~` in the plan with a reason; bytes stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty import body, status
from tests.support.mirror import Mirror, remote, repository
from tests.support.upstream import JSON, Upstream, upstream
from tests.support.wheels import build_wheel

ADDITIVE = "sync: {mode: additive}"
DESTROY = "guard: {maxRemovals: 100%}"


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as found:
        yield found


def show(
    index: Upstream, project: str, project_status: dict[str, str] | None = None, **keys: Any
) -> None:
    """The page of a project with one file."""
    built = build_wheel(project, "1.0")
    entry = {
        "filename": built.filename,
        "url": f"../../files/{built.filename}",
        "hashes": {"sha256": built.sha256},
        "size": len(built.content),
        **keys,
    }
    document = {
        "meta": {"api-version": "1.4"},
        "name": project,
        "files": [entry],
        "project-status": project_status or {"status": "active"},
    }
    index.on(index.file_path(built.filename), body(built.content))
    index.on(f"{index.file_path(built.filename)}.metadata", body(built.metadata))
    index.on(
        index.page_path(project),
        body(json.dumps(document).encode(), content_type=JSON, conditional=True),
    )


def mirrored(index: Upstream, folder: Path, *projects: str, more: str = "") -> Mirror:
    """A site that has taken these projects."""
    site = Mirror(
        folder,
        remote(index.url),
        repository(sources=[f"name: up, include: [{', '.join(projects)}]"], more=more),
    )
    site.applied()
    return site


def rows(text: str) -> dict[str, str]:
    """Return the content rows of a plan by project: sign and reason."""
    found = [
        line.split(maxsplit=2)
        for line in text.splitlines()
        if line.startswith("    ") and line.split()[0] in "+-~!"
    ]
    return {
        project: f"{sign} {' '.join(words.split())}"
        for sign, project, words in (row for row in found if len(row) == 3)
    }


WHEEL = "~ 1.0 wheel"
# By project: what the page says of it at first, what it says later, and how a plan puts it.
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "yank": ({}, {"yanked": True}, f"{WHEEL} yanked upstream"),
    "yank-reason": ({}, {"yanked": "broken build"}, f'{WHEEL} yanked upstream: "broken build"'),
    "yank-other-reason": ({"yanked": "a"}, {"yanked": "b"}, f'{WHEEL} yanked upstream: "b"'),
    "yank-withdrawn": ({"yanked": "broken"}, {"yanked": False}, f"{WHEEL} no longer yanked"),
    "python-late": ({}, {"requires-python": ">=3.9"}, f"{WHEEL} requires-python any -> >=3.9"),
    "python-other": (
        {"requires-python": ">=3.8"},
        {"requires-python": ">=3.9"},
        f"{WHEEL} requires-python >=3.8 -> >=3.9",
    ),
    "python-withdrawn": ({"requires-python": ">=3.8"}, {}, f"{WHEEL} requires-python >=3.8 -> any"),
    "time-late": ({}, {"upload-time": "2026-01-02T03:04:05Z"}, f"{WHEEL} upload time changed"),
    "key-of-tomorrow": ({}, {"tomorrow": 1}, f"{WHEEL} further keys changed"),
    "metadata-late": (
        {},
        {"core-metadata": {"sha256": build_wheel("metadata-late", "1.0").metadata_sha256}},
        f"{WHEEL} core metadata changed",
    ),
    "deprecated": (
        {"project_status": {"status": "archived"}},
        {"project_status": {"status": "deprecated", "reason": "use beta"}},
        '~ status archived -> deprecated ("use beta")',
    ),
    "active-again": (
        {"project_status": {"status": "archived"}},
        {},
        "- none of its distributions is left, or its status is active again",
    ),
}


def test_what_upstream_says_later_is_a_change_of_metadata_and_no_file_is_fetched_again(
    index: Upstream, tmp_path: Path
) -> None:
    for project, (before, _, _) in CHANGES.items():
        show(index, project, **before)
    site = mirrored(index, tmp_path, *CHANGES)
    files = site.filenames()
    for project, (_, after, _) in CHANGES.items():
        show(index, project, **after)
    index.forget()
    said = site.applied()
    assert rows(said) == {project: row for project, (_, _, row) in CHANGES.items()}
    assert not [name for name in index.downloads() if name.endswith(".whl")]
    assert {name for name in site.filenames() if name.endswith(".whl")} == {
        name for name in files if name.endswith(".whl")
    }
    assert site.version()[0] == 2
    assert not site.pending()


def test_a_status_that_is_no_longer_plainly_active_is_told(index: Upstream, tmp_path: Path) -> None:
    show(index, "alpha")
    site = mirrored(index, tmp_path, "alpha")
    show(index, "alpha", {"status": "archived", "reason": "moved"})
    index.forget()
    assert "    + alpha\n" in site.applied()
    assert index.downloads() == {}
    assert not site.pending()


def take_back(index: Upstream) -> dict[str, str]:
    """Withdraw three projects upstream; return the expected reasons by project."""
    show(index, "bad", {"status": "quarantined", "reason": "malware"})
    index.on(index.page_path("missing"), status(404))
    index.on(index.page_path("ended"), status(410))
    return {
        "bad": 'quarantined upstream: "malware"',
        "missing": "answered 404 Not Found",
        "ended": "answered 410 Gone",
    }


def test_what_upstream_takes_back_leaves_with_that_reason(index: Upstream, tmp_path: Path) -> None:
    for project in ("bad", "ended", "good", "missing"):
        show(index, project)
    site = mirrored(index, tmp_path, "bad", "ended", "good", "missing", more=DESTROY)
    reasons = take_back(index)
    said = rows(site.applied("--allow-destroy"))
    assert said.keys() == reasons.keys()
    assert all(
        said[project].startswith("- 1.0 wheel") and said[project].endswith(reason)
        for project, reason in reasons.items()
    ), said
    assert site.filenames() == ["good-1.0-py3-none-any.whl"]
    assert not site.pending()


def test_in_additive_mode_it_stays_and_every_plan_says_so(index: Upstream, tmp_path: Path) -> None:
    for project in ("bad", "ended", "good", "missing"):
        show(index, project)
    site = mirrored(index, tmp_path, "bad", "ended", "good", "missing", more=ADDITIVE)
    reasons = take_back(index)
    for _ in range(2):
        said = rows(site.plan().out)
        assert said.keys() == reasons.keys()
        for project, reason in reasons.items():
            assert said[project].endswith(
                f"{reason}; what is here is kept: `sync.mode` is `additive`"
            ), said
        site.applied()
    assert len(site.filenames()) == 4
    assert not site.pending()


def test_other_bytes_under_a_filename_are_refused_until_substitution_is_allowed(
    index: Upstream, tmp_path: Path
) -> None:
    index.release("alpha", "1.0")
    site = mirrored(index, tmp_path, "alpha")
    index.replace("alpha", "1.0")
    said = rows(site.plan().out)["alpha"]
    assert said.startswith("! 1.0 wheel refused: upstream replaced its bytes: sha256")
    assert said.endswith("(`substitution: allow` would follow)")
    assert not site.pending()
    site.declare(
        remote(index.url), repository(sources=["name: up, include: [alpha], substitution: allow"])
    )
    assert rows(site.applied())["alpha"].startswith("~ 1.0 wheel bytes replaced upstream")
    assert not site.pending()
