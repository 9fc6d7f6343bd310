"""Distributions from outside: written as projects, installed by pip without any index, found by the
command line through their entry points.
"""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support import mirror
from tests.support.clients import PATIENCE, isolated, program, run
from tests.support.mirror import Done
from tests.support.source import ROOT

NOTES = Path(__file__).with_name("outside_notes.py")
NOTES_POINTS = {
    "importers": {"notes": "notes_importer", "pages": "pages_importer"},
    "publishers": {
        "board": "board_publisher",
        "notes": "notes_publisher",
        "pages": "pages_publisher",
    },
    "content_types": {"notes.note": "note", "pages.page": "page"},
}

_PROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"
dependencies = ["package-reconciler"]

[tool.hatch.build.targets.wheel]
packages = ["{module}.py"]
"""

Points = Mapping[str, Mapping[str, str]]
"""Entry points by group without its prefix: ID -> function of the module."""


def write_project(
    folder: Path, name: str, text: str, *, points: Points, version: str = "1.0"
) -> Path:
    """A distribution of one module, called like it with underscores."""
    module = name.replace("-", "_")
    lines = [_PROJECT.format(name=name, version=version, module=module)]
    for group, named in points.items():
        lines.append(f'[project.entry-points."reconciler.{group}"]')
        lines += [f'"{id}" = "{module}:{function}"' for id, function in named.items()]
    folder.mkdir(parents=True)
    folder.joinpath("pyproject.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    folder.joinpath(f"{module}.py").write_text(text, encoding="utf-8")
    return folder


def pip_install(project: Path, site: Path) -> Path:
    """Install a project into a folder of packages, as a foreign plugin is: without an index and
    without build isolation.
    """
    options = [
        "--quiet",
        "--no-compile",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
    ]
    run([sys.executable, "-m", "pip", "install", *options, site, project], site.parent)
    return site


class Installed:
    """Folders of packages, each with one distribution, made when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def module(self, name: str, text: str, points: Points, *, version: str = "1.0") -> Path:
        """A distribution of one module. One name and version is always the same distribution."""
        site = self._folder / f"{name}-{version}"
        return (
            site
            if site.exists()
            else pip_install(
                write_project(
                    self._folder / "projects" / site.name,
                    name,
                    text,
                    points=points,
                    version=version,
                ),
                site,
            )
        )

    def notes(self) -> Path:
        """The plugins of `outside_notes`."""
        return self.module("reconciler-notes", NOTES.read_text(encoding="utf-8"), NOTES_POINTS)

    def example(self) -> Path:
        """`plugins/example`, from a copy of its folder."""
        site = self._folder / "example"
        if site.exists():
            return site
        project = self._folder / "projects" / "example"
        shutil.copytree(
            ROOT / "plugins" / "example", project, ignore=shutil.ignore_patterns("__pycache__")
        )
        return pip_install(project, site)


@contextmanager
def importable(*sites: Path) -> Iterator[None]:
    """What lies in these folders of packages is installed, in this process for the length of a
    block, whatever was imported before.
    """
    folders = [str(site) for site in sites]
    names = {path.stem for site in sites for path in site.iterdir() if path.suffix in ("", ".py")}
    hidden = _taken_out(names)
    sys.path[:0] = folders
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = [entry for entry in sys.path if entry not in folders]
        _taken_out(names)
        sys.modules.update(hidden)
        importlib.invalidate_caches()


def _taken_out(names: set[str]) -> dict[str, ModuleType]:
    """The imported modules of these packages, which are not imported any more."""
    return {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names
    }


@dataclass
class Desk:
    """A folder with `site.yaml` and a home, where the command line runs in this process; what
    `notes` is asked goes into a journal.
    """

    folder: Path
    home: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.journal.touch()

    @property
    def journal(self) -> Path:
        """Where `$NOTES_JOURNAL` leads."""
        return self.folder / "journal"

    def declare(self, *documents: str) -> None:
        """These are the manifests from now on."""
        self.folder.joinpath("site.yaml").write_text("---\n".join(documents), encoding="utf-8")

    def ask(self, *words: str) -> Done:
        """One command, run where the manifests lie."""
        homeless = words[0] in ("validate", "plugins", "schema")
        return mirror.call([*words, *([] if homeless else ["--home", str(self.home)])])

    def apply(self, *words: str) -> Done:
        return self.ask("apply", "site.yaml", *words)

    def applied(self, *documents: str, words: tuple[str, ...] = ()) -> Done:
        """Declare and apply, which must succeed."""
        self.declare(*documents)
        done = self.apply(*words)
        assert done.code == 0, done.out + done.err
        return done

    def get(self, kind: str, name: str) -> Any:
        done = self.ask("get", kind, name, "-o", "json")
        assert done.code == 0, done.err
        return done.document

    def recorded(self, kind: str) -> list[str]:
        """Names of everything recorded of a kind."""
        return [one["metadata"]["name"] for one in self.ask("get", kind, "-o", "json").document]

    def told(self) -> list[dict[str, Any]]:
        """What `notes` was asked since this was asked last."""
        lines = [json.loads(line) for line in self.journal.read_text(encoding="utf-8").splitlines()]
        self.journal.write_text("", encoding="utf-8")
        return lines

    def calls(self) -> list[str]:
        """The names of these calls."""
        return [line["call"] for line in self.told()]

    def work(self) -> list[str]:
        """Working directories that exist, as `<repository>/<plugin>`."""
        root = self.home / "work"
        return sorted(str(path.relative_to(root)) for path in root.glob("*/*"))


def terminal(folder: Path, *words: str, sites: tuple[Path, ...] = (), **more: str) -> Done:
    """One run of the installed program `reconciler`, with these folders of packages, in a process
    of its own.
    """
    path = ":".join(map(str, sites))
    environment = isolated(folder, NOTES_JOURNAL=str(folder / "journal"), PYTHONPATH=path, **more)
    done = subprocess.run(
        [program("reconciler"), *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def asked(
    url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """(status, body) of an answer, by whatever method fits; no proxy is asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(
            urllib.request.Request(url, body, dict(headers or {})), timeout=PATIENCE
        ) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


def fetched(url: str) -> bytes:
    """What lies there."""
    status, body = asked(url)
    assert status == 200, (url, status, body)
    return body
