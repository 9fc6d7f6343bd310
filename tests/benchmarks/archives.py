"""An apt archive of 60,000 packages under 30,001 names, of which only the indexes are mirrored."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.costs import Cost, measured
from tests.benchmarks.rows import Row, said, within
from tests.support.clients import isolated, program
from tests.support.mirror import resource

NAMES, PACKAGES = 30_001, 60_000
FIRST, NOTHING, ONE = 45, 0.8, 1.5  # seconds of CPU
STATE = 1.0  # MB that one changed package may add


@dataclass
class Archive:
    """An archive in a folder. `changed`: package that has another version, by its generation."""

    folder: Path
    changed: int = 0

    def write(self) -> None:
        """Write the index and the Release of the suite `stable`."""
        index = "".join(map(self._paragraph, range(PACKAGES))).encode()
        packed = gzip.compress(index, 1, mtime=0)
        folder = self.folder / "dists" / "stable"
        (folder / "main" / "binary-amd64").mkdir(parents=True, exist_ok=True)
        (folder / "main" / "binary-amd64" / "Packages.gz").write_bytes(packed)
        lines = [
            f" {sha256(body).hexdigest()} {len(body)} main/binary-amd64/{name}"
            for name, body in (("Packages", index), ("Packages.gz", packed))
        ]
        date = f"Mon, 30 Nov 2026 10:{self.changed:02}:00 UTC"
        head = f"Suite: stable\nCodename: stable\nDate: {date}\nArchitectures: amd64\n"
        text = f"{head}Components: main\nSHA256:\n" + "\n".join(lines) + "\n"
        (folder / "Release").write_text(text, encoding="utf-8")

    def _paragraph(self, number: int) -> str:
        name, version = f"package-{number % NAMES:05}", f"1.{number // NAMES}"
        if number == PACKAGES // 2 and self.changed:
            version += f".{self.changed}"
        digest = sha256(f"{name} {version}".encode()).hexdigest()
        needs = ", ".join(f"package-{(number * 7 + n) % NAMES:05} (>= 1.0)" for n in range(4))
        return (
            f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nSection: utils\n"
            f"Maintainer: Maintainers of {name} <{name}@example.org>\nInstalled-Size: {number}\n"
            f"Depends: {needs}\nHomepage: https://{name}.example.org/\nPriority: optional\n"
            f"Description: does what number {number} of {PACKAGES} packages does\n"
            f"Filename: pool/main/p/{name}/{name}_{version}_amd64.deb\nSize: {number + 1}\n"
            f"SHA256: {digest}\n\n"
        )


def archives(bench: Bench) -> list[Row]:
    """A first apply, one without a change, and one with a changed package; without `xz`."""
    folder = bench.folder("archives")
    archive = Archive(folder / "upstream")
    archive.write()
    remote = resource("Remote", "apt", "type: deb\nurl: ./upstream/\npolicy: on-demand")
    source = "{remote: {name: apt, trusted: true, suites: [stable], components: [main],"
    source += " architectures: [amd64], everything: true}}"
    repository = resource("Repository", "apt", f"type: deb\nsources: [{source}]")
    publication = resource("Publication", "apt", "repository: apt\npath: apt\ncompressions: [gz]")
    (folder / "site.yaml").write_text("---\n".join((remote, repository, publication)))
    first, again = _apply(folder), _apply(folder)
    archive.changed = 1
    archive.write()
    before = _state(folder)
    changed = _apply(folder)
    more = (_state(folder) - before) / 1_000_000
    work = f"{PACKAGES:,} Debian packages"
    return [
        within(f"{work}: first apply, CPU", first.cpu, FIRST, unit="s", more=said(first)),
        within(f"{work}: nothing changed, CPU", again.cpu, NOTHING, unit="s", more=said(again)),
        within(f"{work}: one changed, CPU", changed.cpu, ONE, unit="s", more=said(changed)),
        within(f"{work}: one changed, state", more, STATE, unit="MB"),
    ]


def _state(folder: Path) -> int:
    """Return the bytes that the database uses, free pages left out, and those of the store."""
    with closing(sqlite3.connect(folder / "home" / "state.db")) as connection:
        count, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    stored = sum(file.stat().st_size for file in (folder / "home" / "store").rglob("*"))
    return int((count - free) * size) + stored


def _apply(folder: Path) -> Cost:
    words = [program("reconciler"), "apply", "site.yaml", "--home", "home"]
    return measured(words, folder, environment=isolated(folder))
