"""What pip chooses for an environment from our index, narrowed to that environment, is what it
chooses from upstream.

Hundreds of projects with every mixture of versions, tags, required Pythons and yanks; every one has
an old release for everybody, so that there is always something to choose.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.support.clients import run, served
from tests.support.mirror import Mirror, publication, remote, repository, resource
from tests.support.upstream import Upstream, upstream
from tests.support.wheels import build_wheel

PROJECTS = 200
VERSIONS = (
    "0.1",
    "1.0",
    "1.0.post1",
    "1.1",
    "1.10",
    "1.9",
    "2.0a1",
    "2.0b2",
    "2.0rc1",
    "2.0",
    "1!0.5",
    "2.1.dev3",
    "3.0a2",
    "1.0+local.1",
)
TAGS = (
    "py3-none-any",
    "py2-none-any",
    "py2.py3-none-any",
    "py311-none-any",
    "cp311-none-any",
    "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp311-cp311-manylinux_2_28_x86_64",
    "cp311-cp311-manylinux_2_17_aarch64",
    "cp311-cp311-musllinux_1_2_x86_64",
    "cp38-abi3-manylinux_2_17_x86_64",
    "cp312-abi3-manylinux_2_17_x86_64",
    "cp312-cp312-manylinux_2_17_x86_64",
    "pp310-pypy310_pp73-manylinux_2_17_x86_64",
    "cp311-cp311-win_amd64",
    "cp38-abi3-win_amd64",
    "cp311-cp311-win32",
    "cp311-cp311-macosx_11_0_arm64",
    "cp311-cp311-macosx_10_9_universal2",
    "cp311-cp311-macosx_10_9_x86_64",
    "py3-none-win_amd64",
    "py3-none-macosx_11_0_arm64",
    "py3-none-manylinux_2_17_x86_64",
)
PYTHONS = ("", "", ">=3.8", ">=3.8,<3.11", ">=3.11", ">=3.12", "==3.11.*", "<4,!=3.11.*")


@dataclass(frozen=True)
class Target:
    """One environment: its platforms for pip, and the families for a manifest."""

    name: str
    platforms: Sequence[str]
    families: Sequence[str]

    @property
    def words(self) -> list[str]:
        """pip's, for CPython 3.11."""
        told = [word for platform in self.platforms for word in ("--platform", platform)]
        abis = [word for abi in ("cp311", "abi3", "none") for word in ("--abi", abi)]
        return [
            "--only-binary",
            ":all:",
            "--no-deps",
            "--implementation",
            "cp",
            "--python-version",
            "3.11",
            *abis,
            *told,
        ]

    @property
    def filter(self) -> str:
        """One release of each project, and of it what the environment can install."""
        pythons = ["py3", "py311", "cp311", *(f"cp3{minor}" for minor in range(2, 11))]
        rules = [
            "type: python",
            f"platforms: [any, {', '.join(self.families)}]",
            f"pythons: [{', '.join(pythons)}]",
            "abis: [cp311, abi3, none]",
            'requiresPython: ["3.11"]',
            "prereleases: if-nothing-else",
            "yanked: drop",
            "latest: 1",
        ]
        return resource("Filter", self.name, "\n".join(rules))


MANYLINUX = [f"manylinux_2_{minor}_x86_64" for minor in range(5, 40)] + [
    "manylinux2014_x86_64",
    "linux_x86_64",
]
MACOS = [f"macosx_11_0_{arch}" for arch in ("arm64", "universal2")] + [
    f"macosx_10_{minor}_universal2" for minor in range(4, 17)
]
TARGETS = (
    Target("linux", MANYLINUX, ["manylinux_x86_64"]),
    Target("windows", ["win_amd64"], ["win_amd64"]),
    Target("macos", MACOS, ["macos_arm64"]),
)


def offer(index: Upstream, number: int) -> None:
    """One project of many: its releases, their files and what the page says of them are drawn by
    its number.
    """
    draw = random.Random(number)
    name = f"project-{number:03}"
    index.offer(name, build_wheel(name, "0.0.1"))
    for version in draw.sample(VERSIONS, draw.randint(1, 6)):
        requires_python = draw.choice(PYTHONS)
        keys: dict[str, Any] = {"requires-python": requires_python} if requires_python else {}
        if draw.random() < 0.15:
            keys["yanked"] = draw.choice([True, "broken"])
        tags = sorted(
            draw.sample(TAGS, draw.randint(1, 4))
        )  # as an index lists them: between equals pip decides by their order
        index.offer(
            name,
            *(build_wheel(name, version, tag=tag, requires_python=requires_python) for tag in tags),
            **keys,
        )


@pytest.fixture(scope="module")
def index() -> Iterator[Upstream]:
    with upstream() as ours:
        for number in range(PROJECTS):
            offer(ours, number)
        yield ours


@pytest.fixture(scope="module")
def mirrored(index: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a site with one publication for each target."""
    documents = [remote(index.url)]
    for target in TARGETS:
        documents += [
            target.filter,
            repository(target.name, more=f"filters: [{target.name}]"),
            publication(target.name),
        ]
    site = Mirror(tmp_path_factory.mktemp("differential"), *documents)
    site.applied()
    with served(site.home.root) as url:
        yield url


def chosen(url: str, folder: Path, target: Target) -> list[str]:
    """The files that pip would install of all projects; it reads their metadata alone."""
    names = [f"project-{number:03}" for number in range(PROJECTS)]
    report = folder / "report.json"
    folder.mkdir()
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--dry-run",
            "--report",
            report,
            "--target",
            folder / "site",
            "--index-url",
            url,
            *target.words,
            *names,
        ],
        folder,
    )
    installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    return sorted(
        unquote(install["download_info"]["url"]).rpartition("/")[2] for install in installs
    )


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_pip_chooses_the_same_from_upstream_and_from_what_is_narrowed_to_its_environment(
    target: Target, index: Upstream, mirrored: str, tmp_path: Path
) -> None:
    theirs = chosen(index.url, tmp_path / "upstream", target)
    ours = chosen(f"{mirrored}{target.name}/simple/", tmp_path / "ours", target)
    assert len(theirs) == PROJECTS
    assert (
        len({name for name in theirs if "-0.0.1-" not in name}) > PROJECTS / 3
    )  # there is something to choose
    assert ours == theirs
