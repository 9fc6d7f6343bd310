"""Supported Pythons: stated alike everywhere, and the source compiles with each that is here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSIONS = [
    match[1]
    for classifier in PROJECT["classifiers"]
    if (match := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier))
]
CURRENT = f"{sys.version_info.major}.{sys.version_info.minor}"
COMPILE = """
import pathlib, sys, warnings
warnings.simplefilter("error")
for folder in sys.argv[1:]:
    for path in pathlib.Path(folder).rglob("*.py"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
"""


def interpreter(version: str) -> str | None:
    """Return a Python of this version: the one that runs, one on PATH, or one that pyenv has."""
    if version == CURRENT:
        return sys.executable
    own = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for program in (shutil.which(f"python{version}"), *map(str, own)):
        if program and subprocess.run([program, "--version"], capture_output=True).returncode == 0:
            return program
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_the_source_compiles_without_a_warning(version: str) -> None:
    program = interpreter(version)
    if program is None:
        pytest.skip(f"there is no Python {version} here")
    folders = [str(ROOT / "reconciler"), str(ROOT / "plugins")]
    subprocess.run([program, "-c", COMPILE, *folders], check=True)


def test_the_suite_runs_on_a_supported_python() -> None:
    assert CURRENT in VERSIONS


def test_every_place_states_the_same_versions() -> None:
    oldest, newest = VERSIONS[0], VERSIONS[-1]
    assert PROJECT["requires-python"] == f">={oldest}"
    sentence = f"{', '.join(VERSIONS[:-1])} {{}} {newest}"
    assert sentence.format("or") in (ROOT / "README.md").read_text(encoding="utf-8")
    assert sentence.format("and") in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
