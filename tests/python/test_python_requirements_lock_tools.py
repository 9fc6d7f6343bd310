"""Lock files that the tools themselves write."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.clients import program, run
from tests.support.locks import (
    LINUX,
    asked,
    required,
)
from tests.support.upstream import Upstream, upstream
from tests.support.wheels import build_wheel


@dataclass(frozen=True)
class Locked:
    """Project that depends on `alpha<2` and, on Windows, `beta-gamma`, and its index."""

    folder: Path
    index: Upstream

    def digest(self, filename: str) -> str:
        return sha256(self.index.sent(filename)).hexdigest()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    with upstream() as index:
        index.offer(
            "alpha",
            *(
                build_wheel("alpha", version, requires=["beta-gamma; extra == 'fast'"])
                for version in ("1.0", "2.0")
            ),
        )
        index.release("beta-gamma", "1.0", "1.1")
        text = f"""
[project]
name = "scratch"
version = "1"
requires-python = ">=3.11"
dependencies = ["alpha<2", "beta-gamma; sys_platform == 'win32'"]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "ours"
url = "{index.url}"
priority = "primary"
"""
        folder.joinpath("pyproject.toml").write_text(text, encoding="utf-8")
        yield Locked(folder, index)


class TestRealTools:
    def check(self, locked: Locked, name: str) -> None:
        """It names one file of each, and on Linux only the one."""
        found = required(locked.folder, name)
        assert {project: found.for_project(project)[0].sha256s for project in found.projects()} == {
            "alpha": {locked.digest("alpha-1.0-py3-none-any.whl")},
            "beta-gamma": {locked.digest("beta_gamma-1.1-py3-none-any.whl")},
        }
        assert all(
            ":" in one.place for project in found.projects() for one in found.for_project(project)
        )
        assert found.missing("alpha", []) != []

    def test_uv(self, locked: Locked) -> None:
        run(
            [program("uv"), "lock", "--default-index", locked.index.url],
            locked.folder,
            folder=locked.folder,
        )
        self.check(locked, "uv.lock")
        for name, format in (
            ("pylock.uv.toml", "pylock.toml"),
            ("exported.txt", "requirements.txt"),
        ):
            words = [
                program("uv"),
                "export",
                "--default-index",
                locked.index.url,
                "--format",
                format,
                "-o",
                name,
                "-q",
            ]
            run(words, locked.folder, folder=locked.folder)
            self.check(locked, name)
            assert required(locked.folder, name, environments={"linux": LINUX}).projects() == [
                "alpha"
            ]

    def test_poetry(self, locked: Locked) -> None:
        settings = {
            f"POETRY_{name}_DIR": str(locked.folder / name.lower())
            for name in ("CACHE", "CONFIG", "DATA")
        }
        run(
            [program("poetry"), "lock", "--no-interaction"],
            locked.folder,
            folder=locked.folder,
            POETRY_KEYRING_ENABLED="false",
            **settings,
        )
        assert "[package.extras]" in (locked.folder / "poetry.lock").read_text(
            encoding="utf-8"
        )  # that it has, though no requirement asks for them
        self.check(locked, "poetry.lock")
        assert {
            one.extras for one in required(locked.folder, "poetry.lock").for_project("alpha")
        } == {frozenset()}
        assert required(locked.folder, "poetry.lock", environments={"linux": LINUX}).projects() == [
            "alpha"
        ]

    def test_pip_freeze(self, locked: Locked) -> None:
        words = [
            program("uv"),
            "pip",
            "install",
            "--python",
            sys.executable,
            "--target",
            "site",
            "--default-index",
            locked.index.url,
        ]
        run([*words, "alpha<2", "beta-gamma"], locked.folder, folder=locked.folder)
        frozen = run(
            [sys.executable, "-m", "pip", "freeze", "--path", str(locked.folder / "site")],
            locked.folder,
        )
        found = asked(locked.folder, frozen, "frozen.txt")
        assert {one.text for project in found.projects() for one in found.for_project(project)} == {
            "alpha==1.0",
            "beta-gamma==1.1",
        }
