"""One scaffolded distribution for all tests of a worker: as files, and installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconciler.scaffold import Names, write
from tests.support.clients import run

NAMES = Names.parse("json-schemas")


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a generated distribution."""
    folder = tmp_path_factory.mktemp("scaffold") / NAMES.distribution
    write(NAMES, folder)
    return folder


@pytest.fixture(scope="session")
def site(distribution: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of packages into which pip installed it, without any index."""
    home = tmp_path_factory.mktemp("installed")
    options = [
        "--quiet",
        "--no-compile",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
    ]
    run([sys.executable, "-m", "pip", "install", *options, home / "site", distribution], home)
    return home / "site"
