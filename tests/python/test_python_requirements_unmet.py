"""Unmet requirements: errors that name their place, and never other content instead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import md5, sha256
from pathlib import Path

import pytest

from tests.support.faulty import status
from tests.support.mirror import Mirror, call, publication, remote, repository
from tests.support.upstream import Upstream, upstream
from tests.support.wheels import build_sdist, build_wheel

ABSENT = "0" * 64
ALPHA = "alpha-1.0-py3-none-any.whl"


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as one:
        one.release("alpha", "1.0", "2.0", "3.0rc1")
        one.release("beta", "1.0")
        yield one


def mirror(folder: Path, index: Upstream, source: str, **files: str) -> Mirror:
    made = Mirror(
        folder,
        remote(index.url),
        repository(sources=[f"name: up, {source}"], more="guard: {maxRemovals: 100%}"),
        publication(),
    )
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return made


def pylock(filename: str, **hashes: str) -> str:
    said = ", ".join(f'{name} = "{value}"' for name, value in hashes.items())
    wheel = (
        f'[[packages.wheels]]\nname = "{filename}"\nurl ='
        f' "https://elsewhere.example.org/{filename}"\nhashes = {{{said}}}\n'
    )
    return (
        'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "alpha"\nversion ='
        f' "1.0"\n{wheel}'
    )


def test_what_nothing_answers_is_an_error_at_its_line_and_content_stays(
    index: Upstream, tmp_path: Path
) -> None:
    digest = sha256(index.sent(ALPHA)).hexdigest()
    site = mirror(tmp_path, index, "requirements: [r.txt]", r="alpha==1.0\nbeta\n")
    site.applied()
    held = site.filenames()
    for text, said in {
        "alpha==7.7": "r.txt:2: `alpha==7.7`: the index has no such release",
        "alpha>2": "r.txt:2: `alpha>2`: only pre-releases match: 3.0rc1",
        f"alpha==2.0 --hash=sha256:{digest}": (
            "r.txt:2: `alpha==2.0`: the digests are those of another release: 1.0"
        ),
        "alpha\n--no-binary alpha": "r.txt:2: `alpha`: the index has no sdist of it",
        "alpha==2.0\n-c c.txt": (
            "r.txt:2: `alpha==2.0 within alpha==1.0 (c.txt:1)`: the index has no such release"
        ),
        "nowhere==1": "r.txt:2: `nowhere==1`: the index has no such project",
    }.items():
        (tmp_path / "c.txt").write_text("alpha==1.0\n")
        (tmp_path / "r.txt").write_text(f"beta\n{text}\n")
        done = site.apply("--allow-destroy")
        assert (done.code, said in done.out + done.err) == (1, True), (text, done.out + done.err)
        if text.startswith("alpha"):
            assert site.filenames() == held, text


def test_what_something_answers_is_none(index: Upstream, tmp_path: Path) -> None:
    index.say("alpha", "2.0", yanked="broken")
    environments = "environments: {linux: {python_version: '3.12', sys_platform: linux}}"
    site = mirror(
        tmp_path,
        index,
        f"requirements: [r.txt], {environments}, exclude: ['beta==1.0']",
        r="-c c.txt\nalpha==2.0\nbeta==1.0\n",
    )
    text = "nowhere; sys_platform == 'win32'\nalpha==9; sys_platform == 'win32'\nalpha>=3.0rc1\n"
    (tmp_path / "r.txt").write_text(f"{text}alpha==2.0\nbeta==1.0\n")
    site.applied()
    one_of_two = 'alpha==1.0; python_version < "3.10"\nalpha==2.0; python_version >= "3.10"\n'
    site = mirror(
        tmp_path / "alternatives",
        index,
        "requirements: [r.txt]",
        r="-c c.txt\nalpha==2.0\n",
        c=one_of_two,
    )
    site.applied()
    assert site.filenames() == ["alpha-2.0-py3-none-any.whl"]


def test_files_that_the_index_does_not_list_are_errors_of_their_entries(
    index: Upstream, tmp_path: Path
) -> None:
    for entry, said in {
        "alpha-7.0-py3-none-any.whl": (
            "`files[1]`: `alpha-7.0-py3-none-any.whl`: the index has no such file"
        ),
        "{name: alpha, version: '1.0', platform: windows}": (
            "`files[1]`: `alpha, 1.0, windows`: the index has no such file"
        ),
        "nowhere-1.0.tar.gz": "`files[1]`: `nowhere-1.0.tar.gz`: the index has no such project",
    }.items():
        site = mirror(
            tmp_path / str(len(said)), index, f"files: [beta-1.0-py3-none-any.whl, {entry}]"
        )
        done = site.apply()
        assert (done.code, said in done.out + done.err) == (1, True), (entry, done.out + done.err)
        assert site.filenames() == ["beta-1.0-py3-none-any.whl"]


def test_a_name_that_an_earlier_source_owns_is_not_missed_here(
    index: Upstream, tmp_path: Path
) -> None:
    with upstream() as ours:
        ours.release("alpha", "7.7")
        sources = [
            "name: ours, include: [alpha]",
            "name: up, requirements: [r.txt], sharedProjects: [alpha]",
        ]
        site = Mirror(
            tmp_path, remote(ours.url, "ours"), remote(index.url), repository(sources=sources)
        )
        (tmp_path / "r.txt").write_text("alpha==7.7\n")
        site.applied()
        assert site.filenames() == ["alpha-7.7-py3-none-any.whl"]
        site.declare(
            remote(ours.url, "ours"),
            remote(index.url),
            repository(sources=[sources[0], "name: up, requirements: [r.txt]"]),
        )
        site.applied()


def test_a_lock_whose_digests_disagree_with_the_index_is_an_error(
    index: Upstream, tmp_path: Path
) -> None:
    wheel = build_wheel("alpha", "1.0", padding=b"5")
    right = md5(wheel.content).hexdigest()  # as an index states it
    index.withdraw("alpha", "1.0")
    index.offer("alpha", wheel, hashes={"sha256": wheel.sha256, "md5": right})
    site = mirror(tmp_path, index, "requirements: [pylock.toml]")
    (tmp_path / "pylock.toml").write_text(pylock(wheel.filename, md5=right, sha256="b" * 64))
    done = site.apply()
    assert (done.code, "pylock.toml:3" in done.out + done.err) == (1, True)
    (tmp_path / "pylock.toml").write_text(pylock(wheel.filename, md5=right, sha256=wheel.sha256))
    site.applied()
    index.on(index.page_path("alpha"), status(404))
    for _ in range(2):  # it does not pass for gone, now or later
        done = site.apply("--allow-destroy")
        assert (
            done.code,
            "`alpha==1.0`: the index has no such project" in done.out + done.err,
        ) == (1, True)
        assert site.filenames() == [wheel.filename]


def test_a_file_comes_in_that_lock_and_index_name_by_another_digest_than_sha256(
    index: Upstream, tmp_path: Path
) -> None:
    wheel = build_wheel("alpha", "1.0", padding=b"5")
    index.withdraw("alpha", "1.0")
    index.offer("alpha", wheel, hashes={"md5": md5(wheel.content).hexdigest()})
    site = mirror(tmp_path, index, "requirements: [pylock.toml]")
    (tmp_path / "pylock.toml").write_text(
        pylock(wheel.filename, md5=md5(wheel.content).hexdigest())
    )
    site.applied()
    assert site.filenames() == [wheel.filename]
    assert not site.pending()


def pipfile_lock(version: str, sha256: str) -> str:
    entry = {"version": f"=={version}", "hashes": [f"sha256:{sha256}"]}
    return json.dumps({"_meta": {"pipfile-spec": 6}, "default": {"alpha": entry}}, indent=1)


@pytest.mark.parametrize("lock", ["pylock.toml", "r.txt", "Pipfile.lock"])
def test_a_lock_that_names_sha256_where_the_index_states_md5_only_is_compared_by_the_bytes(
    index: Upstream, tmp_path: Path, lock: str
) -> None:
    """Download, compare, accept; other bytes are an error, and what was taken in stays."""
    wheel, other = build_wheel("alpha", "1.0", padding=b"5"), build_wheel("alpha", "2.0")
    index.withdraw("alpha", "1.0")
    index.withdraw("alpha", "2.0")
    for each in (wheel, other):
        index.offer("alpha", each, hashes={"md5": md5(each.content).hexdigest()})

    def locked(digest: str) -> str:
        return {
            "pylock.toml": pylock(wheel.filename, sha256=digest),
            "r.txt": f"alpha==1.0 --hash=sha256:{digest}\n",
            "Pipfile.lock": pipfile_lock("1.0", digest),
        }[lock]

    site = mirror(tmp_path, index, f"requirements: [{lock}]")
    (tmp_path / lock).write_text(locked(wheel.sha256))
    site.applied()
    assert site.filenames() == [wheel.filename]
    assert not site.pending()
    assert other.filename not in str(index.downloads())
    (tmp_path / lock).write_text(locked(ABSENT))
    done = site.apply("--allow-destroy")
    said = f"the index offers no file with the digest sha256:{ABSENT}"
    assert (done.code, said in done.out + done.err) == (1, True), done.out + done.err
    assert site.filenames() == [wheel.filename]


def test_a_requirement_and_its_constraint_without_a_digest_in_common_are_a_fault(
    index: Upstream, tmp_path: Path
) -> None:
    index.offer("alpha", build_sdist("alpha", "1.0"))
    digest = sha256(index.sent(ALPHA)).hexdigest()
    wanted, other = f"alpha==1.0 --hash=sha256:{digest}\n", f"--hash=sha256:{ABSENT}\n"
    marked = f'alpha==1.0; python_version > "3" {other}'
    for limits in (marked, f"alpha {other}alpha --hash=sha256:{digest}\n", f"alpha {other}"):
        site = mirror(tmp_path, index, "requirements: [r.txt]", r=f"-c c.txt\n{wanted}", c=limits)
        done = call(["validate", str(site.manifest)])
        assert (done.code, "r.txt:2: `alpha==1.0` and its constraint" in done.out + done.err) == (
            1,
            True,
        ), limits
    site = mirror(
        tmp_path,
        index,
        "requirements: [r.txt]",
        r=f"-c c.txt\n{wanted}",
        c=f'{marked}alpha; python_version < "3.9" --hash=sha256:{digest}\n',
    )
    site.applied()
    assert site.filenames() == [ALPHA]
    environments = "environments: {linux: {python_version: '3.12', sys_platform: linux}}"
    site.declare(
        remote(index.url),
        repository(sources=[f"name: up, requirements: [r.txt], {environments}"]),
        publication(),
    )
    done = site.apply("--allow-destroy")
    assert (done.code, "have no `--hash` in common" in done.out + done.err, site.filenames()) == (
        1,
        True,
        [ALPHA],
    )


def test_values_of_variables_are_never_shown(
    index: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3CR", "hunter2")
    monkeypatch.setenv("TW0", "hunter2 --x")
    lines = [
        "-r ${S3CR}/x",
        "-c ${S3CR}",
        "foo --hash=${S3CR}",
        "foo --hash=${S3CR}:x",
        "-e ./${S3CR}",
        "--${S3CR}",
        "--no-binary=${TW0}",
        "foo ${S3CR}",
    ]
    (tmp_path / "hunter2").write_text("foo ==\n-r hunter2\n-r ${S3CR}\n")
    for line in lines:
        site = mirror(tmp_path, index, "requirements: [r.txt]", r=f"{line}\n")
        done = call(["validate", str(site.manifest)])
        assert (
            done.code,
            "r.txt:1" in done.out + done.err or "${S3CR}" in done.out + done.err,
        ) == (1, True), line
        assert "hunter2" not in (done.out + done.err).replace("-r hunter2", "").replace(
            "`hunter2` names itself", ""
        ), done.out + done.err


def test_faults_of_a_file_are_told_in_its_order_and_say_what_is_meant(
    index: Upstream, tmp_path: Path
) -> None:
    lines = ["alpha=>1", "alpha=1", "alpha 1", "alpha==${UNSET_ONE}", *["!"] * 8]
    site = mirror(tmp_path, index, "requirements: [r.txt]", r="\n".join(lines))
    done = call(["validate", str(site.manifest)])
    said = done.out + done.err
    places = [said.index(f"r.txt:{number}: ") for number in range(1, len(lines) + 1)]
    assert places == sorted(places)
    for text in (
        "`=>` compares no versions",
        "hint: `>=` does",
        "hint: `==` does",
        "after the name comes a version",
        "hint: set it where this runs",
    ):
        assert text in said, text
