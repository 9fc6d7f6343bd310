"""Ten thousand manifests, and the command that does nothing: what only we do."""

from __future__ import annotations

from dataclasses import replace

from tests.benchmarks.bench import Bench
from tests.benchmarks.costs import REPEATS, measured, middle
from tests.benchmarks.rows import Row, within
from tests.support.clients import isolated, program
from tests.support.manifests import generate

MANIFESTS = 10_000
STARTS = 7
LOADER = (
    "import pathlib, yaml\nfor file in pathlib.Path('site').glob('*.yaml'):"
    " yaml.load(file.read_text(), Loader=yaml.CSafeLoader)"
)


def manifests(bench: Bench) -> list[Row]:
    folder = bench.folder("manifests")
    generate(folder / "site", MANIFESTS, "python")
    secret = folder / "site" / "secrets" / "index"
    secret.parent.mkdir()
    secret.write_text("pass")
    environment = isolated(folder, INDEX_USER="user")
    verbs = {
        "validate": ["validate", "site"],
        "plan --offline": ["plan", "--offline", "site", "--home", "home"],
    }
    plain = middle(
        measured([program("python"), "-c", LOADER], folder, environment=environment)
        for _ in range(REPEATS)
    )
    rows = []
    for (verb, words), limit in zip(verbs.items(), (4, 6), strict=True):
        cost = middle(
            measured([program("reconciler"), *words], folder, environment=environment)
            for _ in range(REPEATS)
        )
        more = f"{cost.wall:.2f} s of wall, {cost.memory:.0f} MiB"
        row = within(
            f"`{verb}` on {MANIFESTS:,} manifests", cost.cpu, limit, unit="s of CPU", more=more
        )
        rows.append(
            replace(
                row,
                peer=f"PyYAML's C loader alone {plain.cpu:.2f} s of CPU",
                ratio=f"{cost.cpu / plain.cpu:.2f}",
            )
        )
    return rows


def start(bench: Bench) -> list[Row]:
    folder = bench.folder("help")
    cost = middle(measured([program("reconciler"), "--help"], folder) for _ in range(STARTS))
    return [
        within(
            "`reconciler --help`",
            cost.wall * 1000,
            250,
            unit="ms",
            more=f"{cost.cpu * 1000:.0f} ms of CPU",
        )
    ]
