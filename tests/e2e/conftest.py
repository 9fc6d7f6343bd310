"""One small site for all the clients: an upstream, applied by the real command line, served and
exported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import program, run, served
from tests.support.mirror import publication, remote, repository
from tests.support.outside import Desk, Installed, importable
from tests.support.upstream import upstream

SAID: dict[str, Any] = {"requires-python": ">=3.8"}


@dataclass(frozen=True, slots=True)
class Site:
    """`index`: URL of the served simple index. `exported`: the same publication as a directory.
    `said`: by the apply.
    """

    index: str
    exported: Path
    said: str


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    manifest = folder / "site.yaml"
    home = folder / "home"
    with upstream() as index:
        index.release("alpha", "1.0", "2.0")
        index.release("beta-gamma", "1.0", "1.1", **SAID)
        index.release("delta", "1.0", yanked='broken "badly"')
        documents = (
            remote(index.url),
            repository(),
            publication(more="exports: [{directory: {path: www/team}}]"),
        )
        manifest.write_text("---\n".join(documents), encoding="utf-8")
        said = run([program("reconciler"), "apply", manifest, "--home", home], folder)
    with served(home) as url:
        yield Site(f"{url}team/simple/", folder / "www" / "team", said)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Distributions from outside, installed by pip when a test first asks for them."""
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def desk(tmp_path: Path, installed: Installed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A folder to run commands in, where the outside plugins `notes` and `pages` are installed."""
    made = Desk(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTES_JOURNAL", str(made.journal))
    with importable(installed.notes()):
        yield made
