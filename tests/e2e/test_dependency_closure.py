"""Row R3: `dependencies: true` brings what real pip needs, no more than satisfies somebody, and
says why.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import run, served
from tests.support.faulty import status
from tests.support.mirror import Mirror, call, publication, remote, repository
from tests.support.upstream import Upstream, upstream
from tests.support.wheels import Built, build_wheel

LINUX = (
    f'environments: {{here: {{python_version: "{sys.version_info[0]}.{sys.version_info[1]}",'
    " sys_platform: linux}}"
)


def wheels(project: str, **releases: list[str]) -> list[Built]:
    """`v1_0=["lib>=2"]`: a release and what it requires."""
    return [
        build_wheel(project, version[1:].replace("_", "."), requires=requires)
        for version, requires in releases.items()
    ]


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served_index:
        served_index.offer(
            "app",
            *wheels(
                "app",
                v1_0=["web>=2", "speed; extra == 'fast'", "winlib; sys_platform == 'win32'"],
                v0_9=["web<2", "old-lib"],
            ),
        )
        served_index.offer(
            "web", *wheels("web", v1_5=["tpl"], v2_0=["tpl>=1,<3"], v2_1=["tpl>=2"], v3_0b1=["tpl"])
        )
        served_index.offer(
            "tpl", *wheels("tpl", v0_5=[], v1_0=["app"], v2_0=["app[fast]>=1"], v4_0=[])
        )
        served_index.offer("speed", *wheels("speed", v1_0=[]))
        served_index.offer("old-lib", *wheels("old-lib", v1_0=[]))
        served_index.offer("stranger", *wheels("stranger", v1_0=["app"]))
        yield served_index


def site(folder: Path, index: Upstream, keys: str = 'include: ["app>=1"]') -> Mirror:
    return Mirror(
        folder,
        remote(index.url),
        repository(sources=[f"name: up, dependencies: true, {LINUX}, {keys}"]),
        publication(),
    )


def test_r3_pip_resolves_from_the_closure_what_it_resolves_from_upstream(
    index: Upstream, tmp_path: Path
) -> None:
    mirror = site(tmp_path, index)
    mirror.applied()
    assert mirror.filenames() == [
        *(
            "app-0.9-py3-none-any.whl",
            "app-1.0-py3-none-any.whl",
            "old_lib-1.0-py3-none-any.whl",
            "speed-1.0-py3-none-any.whl",
        ),
        *(
            "tpl-0.5-py3-none-any.whl",
            "tpl-1.0-py3-none-any.whl",
            "tpl-2.0-py3-none-any.whl",
            "tpl-4.0-py3-none-any.whl",
        ),
        *("web-1.5-py3-none-any.whl", "web-2.0-py3-none-any.whl", "web-2.1-py3-none-any.whl"),
    ]
    with served(mirror.home.root) as url:
        for wanted in (["app[fast]"], ["app", "tpl<2"]):
            ours = downloaded(f"{url}team/simple/", tmp_path / f"ours {' '.join(wanted)}", *wanted)
            assert ours == downloaded(index.url, tmp_path / f"theirs {' '.join(wanted)}", *wanted)
            assert len(ours) >= 3


def downloaded(url: str, place: Path, *words: str) -> list[str]:
    place.mkdir()
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--dest",
            place / "files",
            "--index-url",
            url,
            *words,
        ],
        place,
    )
    return sorted(path.name for path in (place / "files").iterdir())


def test_a_second_run_asks_for_pages_alone_and_finds_nothing_to_do(
    index: Upstream, tmp_path: Path
) -> None:
    mirror = site(tmp_path, index)
    mirror.applied()
    index.forget()
    assert not mirror.pending()
    assert sorted(request.path for request in index.requests) == [
        f"/simple/{name}/" for name in ("app", "old-lib", "speed", "tpl", "web")
    ]
    assert all("if-none-match" in request.headers for request in index.requests)
    assert not mirror.plan("--offline", "--detailed-exitcode").code


def test_a_missing_dependency_fails_the_run_and_others_come_in(
    index: Upstream, tmp_path: Path
) -> None:
    index.offer("web", *wheels("web", v2_2=["absent>=3"]))
    mirror = site(tmp_path, index)
    done = mirror.apply()
    assert done.code == 1
    assert (
        'absent>=3 is required by web 2.2 <- app 1.0 <- team\'s include "app>=1": the index has no'
        " such project" in done.out + done.err
    )
    assert "web-2.2-py3-none-any.whl" in mirror.filenames()
    index.offer("absent", *wheels("absent", v3_0=[]))
    mirror.applied()
    assert "absent-3.0-py3-none-any.whl" in mirror.filenames()


def test_what_is_no_longer_required_leaves_and_a_failure_is_no_absence(
    index: Upstream, tmp_path: Path
) -> None:
    index.offer("web", *wheels("web", v2_2=["extra-lib"]))
    index.offer("extra-lib", *wheels("extra-lib", v1_0=[]))
    mirror = site(tmp_path, index)
    mirror.applied()
    before = mirror.filenames()
    index.on(index.page_path("web"), status(503))
    assert mirror.apply().code == 1
    assert mirror.filenames() == before
    index.restore()
    index.withdraw("web", "2.2")
    mirror.applied()
    assert set(before) - set(mirror.filenames()) == {
        "web-2.2-py3-none-any.whl",
        "extra_lib-1.0-py3-none-any.whl",
    }


def test_a_dependency_that_is_missing_holds_back_only_what_depends_on_it(
    index: Upstream, tmp_path: Path
) -> None:
    """`web` waits for `absent`, and what upstream withdraws elsewhere leaves."""
    index.offer("web", *wheels("web", v2_2=["absent>=3"]))
    index.offer("lone", *wheels("lone", v1_0=[], v2_0=[]))
    mirror = site(tmp_path, index, "include: [app, lone]")
    assert mirror.apply().code == 1
    index.withdraw("lone", "1.0")
    index.withdraw("web", "2.1")
    done = mirror.apply("--allow-destroy")
    assert done.code == 1
    assert "absent>=3 is required by web 2.2" in done.out
    held = mirror.filenames()
    assert "lone-1.0-py3-none-any.whl" not in held
    assert "web-2.1-py3-none-any.whl" in held, "it may be the last one that can be installed"
    index.offer("absent", *wheels("absent", v3_0=[]))
    mirror.applied("--allow-destroy")
    assert "web-2.1-py3-none-any.whl" not in mirror.filenames()


def test_what_a_missing_dependency_needed_stays_with_it(index: Upstream, tmp_path: Path) -> None:
    index.offer("web", *wheels("web", v2_2=["middle"]))
    index.offer("middle", *wheels("middle", v1_0=["deep"]))
    index.offer("deep", *wheels("deep", v1_0=[]))
    index.offer("lone", *wheels("lone", v1_0=[], v2_0=[]))
    mirror = site(tmp_path, index, "include: [app, lone]")
    mirror.applied()
    index.drop("middle")
    index.withdraw("lone", "1.0")
    done = mirror.apply("--allow-destroy")
    assert done.code == 1
    assert "deep: stays, since middle needed it, which the index no longer has" in done.out
    held = mirror.filenames()
    assert {"middle-1.0-py3-none-any.whl", "deep-1.0-py3-none-any.whl"} <= set(held)
    assert "lone-1.0-py3-none-any.whl" not in held


def test_explain_says_what_each_project_was_pulled_in_by(index: Upstream, tmp_path: Path) -> None:
    mirror = site(tmp_path, index)
    mirror.applied()
    said = call(
        ["explain", "repository/team", "tpl-2.0-py3-none-any.whl", "--home", str(mirror.home.root)]
    )
    assert said.code == 0, said.err
    assert "depended on: web 2.1 requires tpl>=2" in said.out


def test_wheels_without_core_metadata_beside_them_are_read_by_ranges(
    index: Upstream, tmp_path: Path
) -> None:
    padding = b"".join(bytes([number % 251]) * 7 for number in range(200_000))
    index.offer(
        "plain",
        build_wheel("plain", "1.0", requires=["speed"], padding=padding),
        **{"core-metadata": False},
    )
    mirror = site(tmp_path, index, "include: [plain]")
    assert mirror.plan("--detailed-exitcode").code == 2
    assert any(
        request.path == "/files/plain-1.0-py3-none-any.whl" and "range" in request.headers
        for request in index.requests
    )
    mirror.applied()
    assert mirror.filenames() == ["plain-1.0-py3-none-any.whl", "speed-1.0-py3-none-any.whl"]


def test_names_of_an_earlier_source_stay_its_own(index: Upstream, tmp_path: Path) -> None:
    """No dependency confusion: what the public index calls `tpl` neither comes in nor says what
    else does.
    """
    index.offer("tpl", *wheels("tpl", v9_0=["stranger"]))
    with upstream() as private:
        private.offer("tpl", *wheels("tpl", v2_5=[]))
        sources = [
            "name: own, include: [tpl]",
            'name: up, dependencies: true, include: ["web==2.1"]',
        ]
        mirror = Mirror(
            tmp_path, remote(private.url, "own"), remote(index.url), repository(sources=sources)
        )
        mirror.applied()
    assert mirror.filenames() == ["tpl-2.5-py3-none-any.whl", "web-2.1-py3-none-any.whl"]
    assert "/simple/tpl/" not in {request.path for request in index.requests}
