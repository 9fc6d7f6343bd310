"""`explain` for Python packages: subjects, rules with their lines, and the text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import Importer, Unit
from reconciler_python.content import Distribution, Project
from reconciler_python.simple_importer import PythonImporter
from tests.support.mirror import Mirror, call, remote, repository
from tests.support.upstream import Upstream, upstream

FILTER = """apiVersion: reconciler/v1
kind: Filter
metadata: {name: house}
spec:
  type: python
  global: true
  deny:
    - beta
    - alpha==1.1
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Mirror, Upstream]]:
    """Write `site.yaml` into the current folder: a remote, a filter, a repository."""
    with upstream() as index:
        index.release("alpha", "1.0", "1.1", "2.0")
        index.release("beta", "1.0")
        index.release("gamma", "1.0")
        found = Mirror(
            tmp_path,
            remote(index.url),
            FILTER,
            repository(sources=["name: up, include: [alpha, beta]"]),
        )
        found.applied()
        monkeypatch.chdir(tmp_path)
        yield found, index


def explained(site: Mirror, *words: str) -> list[str]:
    done = call(["explain", "repository/team", *words, "--home", str(site.home.root)])
    assert done.code == 0, done.err
    return done.out.splitlines()


def line_of(site: Mirror, text: str) -> str:
    """The place of a line of the manifest, as it is shown."""
    lines = site.manifest.read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(lines, 1) if text in line)
    return f"./{site.manifest.name}:{number}"


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("alpha-1.0-py3-none-any.whl", ["alpha"]),
        ("My_Project-1.0-py3-none-any.whl", ["my-project"]),
        ("my-project-1.0.tar.gz", ["my-project"]),
        ("py-3-tools-2.0.zip", ["py", "py-3-tools"]),
        ("Django", ["django"]),
        ("Django[argon2] >= 5, < 6 ; python_version < '3.13'", ["django"]),
        ("django (~=5.0)", ["django"]),
        ("django @ https://example.org/django-5.0.tar.gz", ["django"]),
        ("django>>5", []),
        ("django =>5", []),
        (f"django>={'9' * 4400}", []),
        ("../etc/passwd", []),
        ("", []),
    ],
)
def test_a_subject_leads_to_its_project(subject: str, names: list[str]) -> None:
    importer: type[Importer] = PythonImporter
    assert list(importer.explain(subject)) == names


@pytest.mark.parametrize(
    ("subject", "meant"),
    [
        ("alpha-2.0rc1.tar.gz", True),
        ("alpha-2.0.tar.gz", False),
        ("Alpha", True),
        ("alpha>=1.9", True),
        ("alpha[x]>=1.9; sys_platform == 'win32'", True),
        ("alpha>=2", False),
        ("beta", False),
    ],
)
def test_a_file_is_meant_by_its_name_its_project_or_its_version(subject: str, meant: bool) -> None:
    unit = Unit(
        "python.distribution", "alpha-2.0rc1.tar.gz", {"version": "2.0rc1", "packageType": "sdist"}
    )
    unread = Unit("python.distribution", "alpha-2.0rc1.tar.gz", {})
    assert (
        Distribution.matches("alpha", unit, subject),
        Distribution.matches("alpha", unread, subject),
    ) == (meant, meant)


def test_a_project_s_status_has_no_version() -> None:
    unit = Unit("python.project", "alpha", {"status": "archived"})
    assert [
        Project.matches("alpha", unit, subject) for subject in ("Alpha", "alpha>=1", "beta")
    ] == [
        True,
        False,
        False,
    ]
    unreadable = Unit("python.distribution", "alpha-one.zip", {})
    assert [
        Distribution.matches("alpha", unreadable, subject) for subject in ("alpha", "alpha>=1")
    ] == [True, False]


def test_a_file_with_the_line_that_refuses_it(site: tuple[Mirror, Upstream]) -> None:
    mirror, index = site
    lines = explained(mirror, "alpha-1.1-py3-none-any.whl")
    assert "  does not hold `alpha-1.1-py3-none-any.whl`" in lines
    verdict = lines.index(
        '    ! alpha-1.1-py3-none-any.whl   refused: denied by "alpha==1.1" (house.deny)'
    )
    [refusing] = [line.split() for line in lines[verdict + 1 :] if line.startswith("        ! ")]
    assert refusing[-1] == line_of(mirror, "- alpha==1.1")
    assert any(
        line.startswith("        + ") and line.endswith(line_of(mirror, "include:"))
        for line in lines
    ), "what let it in is told too"
    index.forget()
    assert explained(mirror, "alpha-1.1-py3-none-any.whl", "--offline") == lines
    assert index.requests == []


def test_a_project_by_release_and_a_requirement_by_file(site: tuple[Mirror, Upstream]) -> None:
    mirror, _ = site
    place = line_of(mirror, "- alpha==1.1")
    assert [line for line in explained(mirror, "Alpha") if line.startswith("    ")] == [
        "    + 1.0   wheel",
        f'    ! 1.1   wheel   refused: denied by "alpha==1.1" (house.deny)   {place}',
        "    + 2.0   wheel",
    ]
    told = [
        line.split()[1]
        for line in explained(mirror, "alpha>=1.1")
        if line.startswith(("    + ", "    ! "))
    ]
    assert told == ["alpha-1.1-py3-none-any.whl", "alpha-2.0-py3-none-any.whl"]


def test_a_project_that_no_rule_lets_in_is_told_by_that_rule(site: tuple[Mirror, Upstream]) -> None:
    mirror, _ = site
    assert any(
        "matches no include" in line and line.endswith(line_of(mirror, "include:"))
        for line in explained(mirror, "gamma")
    )
    assert any(
        'denied by "beta"' in line and line.endswith(line_of(mirror, "- beta"))
        for line in explained(mirror, "beta>=1")
    )
    assert (
        explained(mirror, "alpha-9.0-py3-none-any.whl")[-1]
        == "no source lists `alpha-9.0-py3-none-any.whl`"
    )


def test_what_cannot_be_read_is_no_answer(site: tuple[Mirror, Upstream]) -> None:
    mirror, index = site
    index.forget()
    for subject in ("beta =>1", "alpha<<2"):
        done = call(["explain", "repository/team", subject, "--home", str(mirror.home.root)])
        assert done.code == 1
        assert (
            f"`{subject}` names nothing that a repository of type `python` could hold" in done.err
        )
    assert index.requests == []


def test_where_the_manifests_are(
    site: tuple[Mirror, Upstream], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror, _ = site
    denied = "alpha==1.1"
    recorded = "  by what the last apply recorded"
    assert recorded not in explained(mirror, denied)
    assert any(
        line.endswith(" --override:1")
        for line in explained(mirror, denied, "--override", "filter/house.deny=[alpha]")
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert recorded in explained(mirror, denied)
    assert recorded not in explained(mirror, denied, str(mirror.manifest))
    Path("broken.yaml").write_text("kind: [", encoding="utf-8")
    done = call(["explain", "repository/team", denied, "--home", str(mirror.home.root)])
    assert (done.code, recorded in done.out.splitlines()) == (0, True)
    assert "1 fault" in done.err, "not in silence"
    assert (
        call(
            ["explain", "repository/team", denied, "broken.yaml", "--home", str(mirror.home.root)]
        ).code
        == 1
    )


def test_for_machines(site: tuple[Mirror, Upstream]) -> None:
    mirror, _ = site
    answer: dict[str, Any] = json.loads(
        "\n".join(explained(mirror, "alpha-1.1-py3-none-any.whl", "-o", "json"))
    )
    [unit] = answer["sources"][0]["groups"][0]["units"]
    refusing = [step for step in unit["chain"] if not step["passed"]]
    assert refusing == [
        {
            "passed": False,
            "text": unit["reason"],
            "filter": "house",
            "key": ["deny", 1],
            "place": line_of(mirror, "- alpha==1.1"),
        }
    ]
    assert (answer["by"], unit["version"], unit["accepted"]) == ("manifests", "1.1", False)
    assert call(["explain", "remote/up", "x", "--home", str(mirror.home.root)]).code == 1
