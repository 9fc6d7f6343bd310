"""Rows R1-R5 of the feature table: what somebody asks for is what comes in, from our synthetic
index and from a peer's, and real pip agrees.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import isolated, pip_installs, run, served
from tests.support.mirror import Mirror, publication, remote, repository, resource
from tests.support.peer_index import pypiserver
from tests.support.upstream import upstream
from tests.support.wheels import Built, build_egg, build_sdist, build_wheel

LINUX, WINDOWS, MAC = (
    "cp311-cp311-manylinux_2_17_x86_64",
    "cp311-cp311-win_amd64",
    "cp311-cp311-macosx_11_0_arm64",
)
SHELF: dict[str, list[Built]] = {
    "alpha": [
        *(build_wheel("alpha", version) for version in ("1.0", "1.1", "2.0a1", "2.0")),
        *(build_sdist("alpha", version) for version in ("1.0", "2.0")),
        build_egg("alpha", "1.0"),
    ],
    "beta": [
        build_wheel("beta", version, tag=tag)
        for version in ("1.0", "1.1")
        for tag in (LINUX, WINDOWS, MAC)
    ],
    "gamma": [build_wheel("gamma", "0.9"), build_wheel("gamma", "1.0", requires=["alpha<2"])],
}


@pytest.fixture(scope="module", params=["synthetic", "pypiserver"])
def index(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of an index that offers the shelf."""
    if request.param == "synthetic":
        with upstream() as ours:
            for project, files in SHELF.items():
                ours.offer(project, *files)
            yield ours.url
    else:
        with pypiserver(
            tmp_path_factory.mktemp("peer") / "files",
            (built for files in SHELF.values() for built in files),
        ) as url:
            yield url


def site(folder: Path, index: str, sources: str = "", *documents: str, more: str = "") -> Mirror:
    """One repository, published, from one source with these keys."""
    source = f"name: up, {sources}" if sources else "name: up"
    return Mirror(
        folder, remote(index), repository(sources=[source], more=more), publication(), *documents
    )


def pip_downloads(index: str, home: Path, *words: str) -> list[str]:
    """The files that pip chooses from this index alone."""
    place = home / "downloads"
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--dest",
            place,
            "--index-url",
            index,
            *words,
        ],
        home,
    )
    return sorted(path.name for path in place.iterdir())


def pip_refuses(index: str, home: Path, *words: str) -> str:
    """What pip says of something that this index does not have."""
    with pytest.raises(AssertionError) as refused:
        pip_downloads(index, home, *words)
    return str(refused.value)


def test_r1_sync_a_project_a_release_and_single_distributions(index: str, tmp_path: Path) -> None:
    keys = (
        'include: [gamma, "alpha==1.1"], files: [{name: beta, version: "1.0", platform:'
        " linux_x86_64}, beta-1.1-cp311-cp311-win_amd64.whl]"
    )
    mirror = site(tmp_path, index, keys)
    mirror.applied()
    assert mirror.filenames() == [
        "alpha-1.1-py3-none-any.whl",
        f"beta-1.0-{LINUX}.whl",
        f"beta-1.1-{WINDOWS}.whl",
        "gamma-0.9-py3-none-any.whl",
        "gamma-1.0-py3-none-any.whl",
    ]
    with served(mirror.home.root) as url:
        simple = f"{url}team/simple/"
        pip_installs(simple, tmp_path, "gamma")  # with the release of alpha that it asks for
        assert (tmp_path / "pip" / "alpha.py").read_text() == 'VERSION = "1.1"\n'
        target = ("--only-binary", ":all:", "--python-version", "3.11", "beta", "--platform")
        assert pip_downloads(simple, tmp_path / "linux", *target, "manylinux_2_17_x86_64") == [
            f"beta-1.0-{LINUX}.whl"
        ]
        assert pip_downloads(simple, tmp_path / "windows", *target, "win_amd64") == [
            f"beta-1.1-{WINDOWS}.whl"
        ]
        assert "No matching distribution" in pip_refuses(
            simple, tmp_path / "mac", *target, "macosx_11_0_arm64"
        )


def test_r2_sync_wheels_sdists_and_eggs(index: str, tmp_path: Path) -> None:
    wheels = [
        "alpha-1.0-py3-none-any.whl",
        "alpha-1.1-py3-none-any.whl",
        "alpha-2.0-py3-none-any.whl",
        "alpha-2.0a1-py3-none-any.whl",
    ]
    kinds = {
        "wheel": wheels,
        "sdist": ["alpha-1.0.tar.gz", "alpha-2.0.tar.gz"],
        "egg": ["alpha-1.0-py2.7.egg"],
    }
    documents = [remote(index)]
    for kind in kinds:
        documents += [
            resource("Filter", f"only-{kind}", f"type: python\npackageTypes: [{kind}]"),
            repository(
                kind, sources=["name: up, include: [alpha]"], more=f"filters: [only-{kind}]"
            ),
            publication(kind),
        ]
    mirror = Mirror(
        tmp_path,
        *documents,
        repository("all", sources=["name: up, include: [alpha]"]),
        publication("all"),
    )
    mirror.applied()
    assert {kind: mirror.filenames(kind) for kind in kinds} == kinds
    assert mirror.filenames("all") == sorted(file for files in kinds.values() for file in files)
    with served(mirror.home.root) as url:
        assert pip_downloads(f"{url}wheel/simple/", tmp_path / "a", "alpha") == [
            "alpha-2.0-py3-none-any.whl"
        ]
        assert pip_downloads(
            f"{url}all/simple/", tmp_path / "b", "--only-binary", ":all:", "alpha<2"
        ) == ["alpha-1.1-py3-none-any.whl"]
        assert "No matching distribution" in pip_refuses(
            f"{url}egg/simple/", tmp_path / "c", "alpha"
        )  # pip takes no eggs
        assert "No matching distribution" in pip_refuses(
            f"{url}sdist/simple/", tmp_path / "d", "--only-binary", ":all:", "alpha"
        )


def test_r3_exclude_distributions_per_repository_and_globally(index: str, tmp_path: Path) -> None:
    documents = (
        remote(index),
        resource(
            "Filter", "house", 'type: python\nglobal: true\ndeny: [gamma, "alpha-2.0.tar.gz"]'
        ),
        resource("Filter", "old", 'type: python\ndeny: ["alpha<1.1"]'),
        repository("plain"),
        publication("plain"),
        repository(
            "strict", sources=['name: up, exclude: ["alpha>1.1", "b*"]'], more="filters: [old]"
        ),
        publication("strict"),
    )
    mirror = Mirror(tmp_path, *documents)
    mirror.applied()
    assert mirror.filenames("strict") == ["alpha-1.1-py3-none-any.whl"]
    everything = {built.filename for files in SHELF.values() for built in files}
    denied = {"gamma-0.9-py3-none-any.whl", "gamma-1.0-py3-none-any.whl", "alpha-2.0.tar.gz"}
    assert mirror.filenames("plain") == sorted(everything - denied)
    with served(mirror.home.root) as url:
        assert pip_downloads(f"{url}strict/simple/", tmp_path / "a", "alpha") == [
            "alpha-1.1-py3-none-any.whl"
        ]
        for name in ("plain", "strict"):
            assert "No matching distribution" in pip_refuses(
                f"{url}{name}/simple/", tmp_path / name, "gamma"
            )


def test_r4_filter_by_version_specifier(index: str, tmp_path: Path) -> None:
    mirror = site(
        tmp_path,
        index,
        'include: ["alpha>=1.1,!=2.0", "beta~=1.0", "gamma<1"]',
        resource("Filter", "new", 'type: python\nallow: ["alpha", "beta==1.1.*", "gamma"]'),
        more="filters: [new]",
    )
    mirror.applied()
    assert mirror.filenames() == [
        "alpha-1.1-py3-none-any.whl",
        *sorted(f"beta-1.1-{tag}.whl" for tag in (LINUX, WINDOWS, MAC)),
        "gamma-0.9-py3-none-any.whl",
    ]
    with served(mirror.home.root) as url:
        assert pip_downloads(f"{url}team/simple/", tmp_path / "a", "--pre", "alpha") == [
            "alpha-1.1-py3-none-any.whl"
        ]
        assert "No matching distribution" in pip_refuses(
            f"{url}team/simple/", tmp_path / "b", "gamma>=1"
        )


def test_r4_a_pre_release_comes_in_where_the_specifier_names_one(
    index: str, tmp_path: Path
) -> None:
    mirror = site(tmp_path, index, 'include: ["alpha>=2.0a1"]')
    mirror.applied()
    assert mirror.filenames() == [
        "alpha-2.0-py3-none-any.whl",
        "alpha-2.0.tar.gz",
        "alpha-2.0a1-py3-none-any.whl",
    ]


def test_r5_sync_from_pip_freeze_output(index: str, tmp_path: Path) -> None:
    """The packages of one machine go into the repository, and from it to another machine."""
    pip_installs(index, tmp_path / "before", "gamma", "alpha==1.0")
    words = [sys.executable, "-m", "pip", "freeze", "--path", str(tmp_path / "before" / "pip")]
    frozen = run(words, tmp_path)
    assert sorted(frozen.split()) == ["alpha==1.0", "gamma==1.0"]
    (tmp_path / "requirements.txt").write_text(frozen)
    mirror = site(tmp_path, index, "requirements: [requirements.txt]")
    mirror.applied()
    assert mirror.filenames() == [
        "alpha-1.0-py2.7.egg",
        "alpha-1.0-py3-none-any.whl",
        "alpha-1.0.tar.gz",
        "gamma-1.0-py3-none-any.whl",
    ]
    with served(mirror.home.root) as url:
        pip_installs(
            f"{url}team/simple/", tmp_path / "after", "-r", str(tmp_path / "requirements.txt")
        )
    again = run([*words[:-1], str(tmp_path / "after" / "pip")], tmp_path)
    assert again == frozen


def test_the_clients_environment_is_ours_alone(tmp_path: Path) -> None:
    """No configuration of the machine may name another index to these tests."""
    assert "PIP_INDEX_URL" not in isolated(tmp_path)
