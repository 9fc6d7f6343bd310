"""Fixtures of the tests of faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.hostile import Hostile, begin


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin(tmp_path_factory.mktemp("begun"), pytest.MonkeyPatch())


@pytest.fixture
def site(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hostile:
    return Hostile(tmp_path, begun, monkeypatch)
