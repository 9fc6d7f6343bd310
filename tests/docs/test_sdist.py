"""The source distribution holds what the suite and the documentation need."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from docs.build import PAGES, own_pages
from tests.support.source import ROOT


def test_it_holds_documents_tests_and_tools(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    needed = {*PAGES, *(f"docs/{name}" for name in own_pages())}
    needed |= {"docs/build.py", "zensical.toml", "constraints.txt", "Makefile", ".ci/run"}
    needed |= {".ci/changed_tests.py", ".pre-commit-config.yaml", "tests/conftest.py"}
    assert needed - names == set()
    assert not any(name.startswith((".docs", ".venv", ".bench")) for name in names)
