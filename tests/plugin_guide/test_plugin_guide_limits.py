"""The core keeps the limits that `plugins/README.md` promises."""

from __future__ import annotations

from reconciler.engine import CallLimits
from reconciler.engine.plugin_calls.scratchpads import LIMIT
from reconciler.engine.sources.batches import LARGEST
from reconciler.model.content import MAX_NAME
from tests.support.guide import GUIDE


def test_limits_are_those_of_the_core() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for said in (
        f"| {CallLimits().call:g} s |",
        f"| {CallLimits().block:g} s |",
        f"above {LARGEST:,}: refused",
        f"| {MAX_NAME:,} printable characters |",
    ):
        assert said in text
    assert LIMIT == 1024 * 1024
    assert "| 1 MiB of JSON |" in text
