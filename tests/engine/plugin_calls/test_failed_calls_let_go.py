"""An error that is kept until the plan is printed keeps nothing of what raised it."""

from __future__ import annotations

from weakref import ref

from reconciler.engine.plugin_calls.plugin_errors import error_message, release_frames
from reconciler.errors import Malformed
from reconciler.model import Page


def read(seen: list[ref[Page]]) -> None:
    page = Page("http://example.org/", bytes(100), "v", "text/html")
    seen.append(ref(page))
    try:
        raise ValueError(f"{len(page.body)} bytes")
    except ValueError as error:
        raise Malformed("not a page") from error


def test_a_page_that_could_not_be_read_is_let_go_of_with_its_error_kept() -> None:
    seen: list[ref[Page]] = []
    failure: Exception | None = None
    try:
        read(seen)
    except Malformed as error:
        failure = error
        release_frames(error)
    assert failure is not None
    assert seen[0]() is None
    assert error_message(failure) == "not a page"
