"""Public names are a list that changes on purpose: `tests/golden/exports.json`, room by room.

`RECONCILER_GOLDEN=write` writes it anew.
"""

from __future__ import annotations

import importlib
import json
import os

import pytest

from tests.support.source import ROOT, modules

RECORDED = ROOT / "tests" / "golden" / "exports.json"
PUBLIC = sorted(
    module.name
    for module in modules()
    if module.path.name == "__init__.py"
    and "migrations" not in module.name
    and module.name != "reconciler"
)


def as_read(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


@pytest.mark.parametrize("name", PUBLIC)
def test_exports_are_sorted_and_there(name: str) -> None:
    module = importlib.import_module(name)
    exported = list(module.__all__)
    assert exported == sorted(set(exported), key=as_read)
    assert [name for name in exported if not hasattr(module, name)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_a_room_says_what_it_is_for(name: str) -> None:
    assert len((importlib.import_module(name).__doc__ or "").split()) > 10


def test_exports_are_those_that_are_recorded() -> None:
    exports = {name: list(importlib.import_module(name).__all__) for name in PUBLIC}
    if os.environ.get("RECONCILER_GOLDEN") == "write":
        RECORDED.write_text(json.dumps(exports, indent=2) + "\n", encoding="utf-8")
    assert exports == json.loads(RECORDED.read_text(encoding="utf-8"))
