"""The plugin of `plugins/README.md`, for every test about the guide."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.guide import plugin_module


@pytest.fixture(scope="session")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Import the guide's plugin, which runs its snippets."""
    return plugin_module(tmp_path_factory.mktemp("guide"))
