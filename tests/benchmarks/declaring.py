"""A million files of which only the list is read: `policy: on-demand`."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.costs import Cost, measured
from tests.benchmarks.rows import Row, said, within
from tests.support.clients import isolated, program
from tests.support.mirror import resource

UNITS = 1_000_000
FOLDERS = 997


def files(bench: Bench) -> list[Row]:
    """A first sync of the list, and one in which it has not changed."""
    folder = bench.folder("files")
    _write_list(folder / "upstream" / "PULP_MANIFEST")
    remote = resource(
        "Remote", "files", "type: file\nurl: ./upstream/PULP_MANIFEST\npolicy: on-demand"
    )
    repository = resource("Repository", "files", "type: file\nsources: [{remote: {name: files}}]")
    (folder / "site.yaml").write_text(f"{remote}---\n{repository}")
    first, again = _apply(folder), _apply(folder)
    name = f"first sync of {UNITS:,} declared files, on demand"
    ratio = again.cpu / first.cpu
    return [
        Row(
            name,
            f"{said(first)}, {UNITS / first.cpu:,.0f} units a second of CPU",
            "",
            "",
            "",
            None,
            {"first": first.fields()},
        ),
        within("the same, peak memory", first.memory, 400, unit="MiB"),
        Row(
            "the same list again, unchanged",
            said(again),
            f"the first sync {said(first)}",
            f"{ratio:.3f}",
            "0.1 x the first, CPU",
            ratio <= 0.1,
        ),
    ]


def _apply(folder: Path) -> Cost:
    return measured(
        [program("reconciler"), "apply", "site.yaml", "--home", "home"],
        folder,
        environment=isolated(folder),
    )


def _write_list(path: Path) -> None:
    path.parent.mkdir()
    with path.open("w") as lines:
        for number in range(UNITS):
            file_path = f"folder-{number % FOLDERS}/file-{number}.bin"
            digest = sha256(str(number).encode()).hexdigest()
            lines.write(f"{file_path},{digest},{number % 5_000}\n")
