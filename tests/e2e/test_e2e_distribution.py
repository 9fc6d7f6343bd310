"""The distribution of `pip install .`: the core, its plugins and their entry points."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.clients import isolated

SCRIPT = (
    "import reconciler; print(reconciler.__file__, flush=True); from reconciler.cli.main import"
    " run; run(['plugins'])"
)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by pip from the source tree, without any index."""
    folder = tmp_path_factory.mktemp("wheel")
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        folder,
        ROOT,
    ]
    done = subprocess.run(words, env=isolated(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = folder.glob("*.whl")
    return made


def test_it_holds_core_and_plugins_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name.startswith("package_reconciler-")
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "reconciler",
        "reconciler_deb",
        "reconciler_file",
        "reconciler_npm",
        "reconciler_python",
    }
    assert "reconciler/py.typed" in names
    ours = {
        str(path.relative_to(ROOT))
        for pattern in ("*.py", "*.jinja")
        for path in (ROOT / "reconciler").rglob(pattern)
    }
    assert ours <= set(names), "every module and every template is in it"
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_unpacked_it_finds_its_plugins(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = isolated(tmp_path, PYTHONPATH=str(site))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"{site}{os.sep}")
    listed = [line.split()[:2] for line in done.stdout.splitlines()[2:]]
    assert listed == [
        ["deb.package", "content-type"],
        ["deb.source", "content-type"],
        ["file.file", "content-type"],
        ["npm.package", "content-type"],
        ["python.distribution", "content-type"],
        ["python.project", "content-type"],
        ["deb", "importer"],
        ["file", "importer"],
        ["npm", "importer"],
        ["python", "importer"],
        ["deb", "publisher"],
        ["file", "publisher"],
        ["npm", "publisher"],
        ["python", "publisher"],
    ]
    assert "disabled" not in done.stdout


def test_its_command_is_the_command_line(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [entry_points] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "reconciler = reconciler.cli:main" in archive.read(entry_points).decode()
