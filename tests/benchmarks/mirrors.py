"""A mirror of a whole index by our own command line, and its publication."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.costs import Cost, Counting, measured
from tests.support.clients import isolated, program
from tests.support.mirror import export as directory
from tests.support.mirror import publication, remote, repository

NAME = "all"


class Reconciler:
    """A site in a fresh folder. `export`: also as a directory, `exported`."""

    def __init__(self, folder: Path, url: str, *, export: bool = False) -> None:
        self.folder = folder
        self.manifest = folder / "site.yaml"
        self.home = folder / "home"
        self.exported = folder / "exported"
        documents = [
            remote(f"{url}/simple/", more=""),
            repository(NAME),
            publication(NAME, more=directory("exported") if export else ""),
        ]
        self.manifest.write_text("---\n".join(documents))

    def sync(self, upstream: Counting | None = None) -> Cost:
        """Plan, fetch, record, publish: one cold command."""
        return measured(
            [program("reconciler"), "apply", self.manifest, "--home", self.home],
            self.folder,
            upstream,
        )

    def files(self) -> int:
        """How many distributions the store holds."""
        words: list[str | Path] = [
            program("reconciler"),
            "diff",
            f"repository/{NAME}",
            "0",
            "latest",
            "--home",
            self.home,
        ]
        said = subprocess.run(
            words, env=isolated(self.folder), stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        return int(said.splitlines()[-1].split()[0])

    @contextmanager
    def serving(self) -> Iterator[tuple[str, int]]:
        """`reconciler serve` with its one worker: URL of the index, and pid."""
        words: list[str | Path] = [
            program("reconciler"),
            "serve",
            "--port",
            "0",
            "--home",
            self.home,
        ]
        with (self.folder / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                words, env=isolated(self.folder), stderr=subprocess.PIPE, stdout=log, text=True
            )
            try:
                assert process.stderr is not None
                url = process.stderr.readline().split()[-1]
                yield f"{url}{NAME}/simple/", process.pid
            finally:
                process.terminate()
                process.communicate()
