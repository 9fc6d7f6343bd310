"""The published tree with real clients: pip and uv, JSON and HTML, loopback only."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import Group, PluginCallConfiguration, StoredUnit
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.publishing.simple_publisher import PublicationOptions, PythonPublisher
from reconciler_python.simple_importer import PythonImporter
from tests.support.clients import PIP, program, run
from tests.support.conduits import FakeConduit, FakePublishConduit, page, stored, write_tree
from tests.support.index_server import IndexServer, serving
from tests.support.wheels import Built, build_egg, build_sdist, build_wheel

FOO = [
    build_wheel("foo", "1.0", requires=["Bar.Baz>=1"]),
    build_wheel("foo", "1.1+local.1", requires=["Bar.Baz>=1"], requires_python=">=3.8"),
    build_wheel("foo", "1.2"),  # yanked
    build_wheel("foo", "1.3", requires_python=">=99"),
    build_sdist("foo", "1.0"),
    build_egg("foo", "1.0"),
]
BAR = [build_wheel("bar-baz", "1.0"), build_wheel("bar-baz", "1.1rc1")]
OVERRIDES: dict[str, dict[str, Any]] = {"foo-1.2-py3-none-any.whl": {"yanked": 'broken "badly"'}}


def entry(built: Built) -> dict[str, Any]:
    """As an upstream says it."""
    said = {
        "filename": built.filename,
        "url": f"https://files.example.org/{built.filename}",
        "hashes": {"sha256": built.sha256},
        "size": len(built.content),
    }
    said["upload-time"] = "2025-01-01T00:00:00Z"
    if built.filename.endswith(".whl"):
        said["core-metadata"] = {"sha256": built.metadata_sha256}
    for line in built.metadata.decode().splitlines():
        if line.startswith("Requires-Python: "):
            said["requires-python"] = line.partition(": ")[2]
    return {**said, **OVERRIDES.get(built.filename, {})}


def imported(name: str, distributions: list[Built]) -> list[StoredUnit]:
    """Through the importer, as a sync brings them in."""
    document = json.dumps(
        {
            "meta": {"api-version": "1.4"},
            "name": name,
            "files": [entry(built) for built in distributions],
        }
    )
    conduit = FakeConduit(
        {f"{name}/": page(document, "application/vnd.pypi.simple.v1+json")}, SelectionOptions()
    )
    units: Any = asyncio.run(PythonImporter().read(conduit, Group(name)))
    assert conduit.refused == {}
    return [stored(unit, name) for unit in units]


@pytest.fixture(params=["json", "html"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IndexServer]:
    groups = {"bar-baz": imported("bar-baz", BAR), "foo": imported("foo", FOO)}
    conduit = FakePublishConduit(groups, options=PublicationOptions())
    PythonPublisher().publish(conduit, PluginCallConfiguration({}, {}, {}))
    contents = {built.sha256: built.content for built in [*FOO, *BAR]} | {
        built.metadata_sha256: built.metadata for built in [*FOO, *BAR]
    }
    write_tree(conduit.merged, contents, tmp_path / "tree")
    with serving(tmp_path / "tree", json=request.param == "json") as server:
        yield server


def pip(*arguments: str, home: Path) -> str:
    return run([*PIP, *arguments, "--no-cache-dir", "--disable-pip-version-check"], home)


def uv(*arguments: str, home: Path) -> str:
    return run([program("uv"), *arguments, "--no-cache", "--python", sys.executable], home)


def test_pip_downloads_the_right_file_with_its_digest(index: IndexServer, tmp_path: Path) -> None:
    said = pip(
        "download",
        "--no-deps",
        "--index-url",
        f"{index.url}simple/",
        "-d",
        str(tmp_path / "got"),
        "foo",
        home=tmp_path,
    )
    assert [path.name for path in (tmp_path / "got").iterdir()] == [
        "foo-1.1+local.1-py3-none-any.whl"
    ]
    assert (tmp_path / "got" / "foo-1.1+local.1-py3-none-any.whl").read_bytes() == FOO[1].content
    assert "WARNING" not in said


def test_pip_installs_with_dependencies_and_reads_metadata_files(
    index: IndexServer, tmp_path: Path
) -> None:
    pip(
        "install",
        "--only-binary",
        ":all:",
        "--index-url",
        f"{index.url}simple/",
        "--target",
        str(tmp_path / "site"),
        "foo==1.0",
        home=tmp_path,
    )
    assert (tmp_path / "site" / "foo.py").read_text() == 'VERSION = "1.0"\n'
    assert (tmp_path / "site" / "bar_baz.py").read_text() == 'VERSION = "1.0"\n'
    assert any(path.endswith("bar_baz-1.0-py3-none-any.whl.metadata") for path in index.asked)


def test_pip_refuses_a_yanked_file_unless_it_is_pinned_and_says_why(
    index: IndexServer, tmp_path: Path
) -> None:
    said = pip(
        "download",
        "--no-deps",
        "--index-url",
        f"{index.url}simple/",
        "-d",
        str(tmp_path / "got"),
        "foo==1.2",
        home=tmp_path,
    )
    assert 'broken "badly"' in said


def test_uv_resolves_by_metadata_files_and_upload_times(index: IndexServer, tmp_path: Path) -> None:
    target = tmp_path / "site"
    said = uv(
        "pip",
        "install",
        "--target",
        str(target),
        "--index-url",
        f"{index.url}simple/",
        "--exclude-newer",
        "2025-06-01",
        "foo",
        home=tmp_path,
    )
    assert (target / "foo.py").read_text() == 'VERSION = "1.1+local.1"\n'
    assert (target / "bar_baz.py").read_text() == 'VERSION = "1.0"\n'
    assert any(path.endswith("foo-1.1+local.1-py3-none-any.whl.metadata") for path in index.asked)
    assert "warning" not in said.lower()


def test_uv_excludes_what_is_newer(index: IndexServer, tmp_path: Path) -> None:
    command = [
        "pip",
        "install",
        "--target",
        str(tmp_path / "site"),
        "--index-url",
        f"{index.url}simple/",
        "--exclude-newer",
        "2024-12-31",
        "foo",
    ]
    with pytest.raises(AssertionError, match="No solution found"):
        uv(*command, home=tmp_path)


def test_uv_says_why_a_file_is_yanked(index: IndexServer, tmp_path: Path) -> None:
    said = uv(
        "pip",
        "install",
        "--target",
        str(tmp_path / "site"),
        "--index-url",
        f"{index.url}simple/",
        "foo==1.2",
        home=tmp_path,
    )
    assert 'broken "badly"' in said
