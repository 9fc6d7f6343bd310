"""Requests per second of our server, of proxpi, and of nginx on our exported tree, in turn; and an
installation from them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urljoin
from urllib.request import ProxyHandler, Request, build_opener

from tests.benchmarks.bench import Bench
from tests.benchmarks.costs import REPEATS, Cost, Unmeasured, measured, middle
from tests.benchmarks.mirrors import Reconciler
from tests.benchmarks.peers import PROXPI, proxpi
from tests.benchmarks.processes import tree_cpu
from tests.benchmarks.rows import Row, against
from tests.support.clients import program
from tests.support.index import Index
from tests.support.nginx import serving_index, serving_tree

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"
CONNECTIONS = 32
SECONDS = 2
AT_LEAST = 8  # times proxpi
PROJECTS = 100
OURS, NGINX = "reconciler", "nginx"


@dataclass(frozen=True, slots=True)
class Server:
    """`index`: URL of its simple index. `negotiates`: else JSON lies at `index.json`."""

    index: str
    pid: int
    negotiates: bool = True

    def page(self, project: str, media_type: str) -> str:
        page = "index.json" if media_type == JSON and not self.negotiates else ""
        return f"{self.index}{project}/{page}"

    def wheel(self, project: str) -> str:
        page = self.page(project, JSON)
        entries = json.loads(fetched(page, JSON))["files"]
        url: str = next(entry["url"] for entry in entries if entry["filename"].endswith(".whl"))
        return urljoin(page, url).partition("#")[0]


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests per second, and microseconds of the server's CPU for each."""

    rate: float
    cpu: float

    @property
    def text(self) -> str:
        return f"{self.rate:,.0f}/s ({self.cpu:,.0f} us)"


def serving(bench: Bench) -> list[Row]:
    if shutil.which("wrk") is None:
        raise Unmeasured("`wrk` is not found; install the system's package of that name")
    index, mirror = bench.exported
    with ExitStack() as stack:
        servers = _servers(bench, index, mirror, stack=stack)
        typical = min(
            index.projects, key=lambda project: (abs(len(project.files) - 10), project.name)
        ).normalized
        pages = {"10": typical, "300": "fixed-many-files"}
        rows = []
        for files, project in pages.items():
            for name, media_type in (("HTML", HTML), ("JSON", JSON)):
                urls = {who: server.page(project, media_type) for who, server in servers.items()}
                rows.append(
                    _row(
                        f"project page of {files} files, {name}",
                        servers,
                        urls,
                        media_type=media_type,
                    )
                )
        urls = {who: server.wheel("fixed-wheel-20k") for who, server in servers.items()}
        return [*rows, _row("wheel of 20 KB", servers, urls, media_type="*/*")]


def install(bench: Bench) -> list[Row]:
    """uv, with nothing in its cache, into a fresh folder each time."""
    index, mirror = bench.exported
    names = [project.normalized for project in index.projects[:PROJECTS]]
    costs: dict[str, list[Cost]] = {OURS: [], NGINX: []}
    with (
        mirror.serving() as (ours, _),
        serving_tree(mirror.exported, bench.folder("nginx"), log=False) as nginx,
    ):
        servers = {OURS: ours, NGINX: f"{nginx.url}/simple/"}
        for repeat in range(REPEATS + 1):
            for who, url in servers.items():
                folder = bench.folder("uv")
                options: list[str | Path] = [
                    "--quiet",
                    "--no-deps",
                    "--python",
                    program("python"),
                    "--target",
                    folder / "target",
                    "--default-index",
                    url,
                ]
                cost = measured([program("uv"), "pip", "install", *options, *names], folder)
                if repeat:  # the first turn reads everything from disk
                    costs[who].append(cost)
    return [
        against(
            f"`uv pip install` of {PROJECTS} projects",
            middle(costs[OURS]),
            NGINX,
            peer=middle(costs[NGINX]),
            target=1.2,
        )
    ]


def fetched(url: str, media_type: str) -> bytes:
    """One answer, by no proxy."""
    with build_opener(ProxyHandler({})).open(
        Request(url, headers={"Accept": media_type}), timeout=60
    ) as answer:
        body: bytes = answer.read()
        return body


def _servers(
    bench: Bench, index: Index, mirror: Reconciler, *, stack: ExitStack
) -> dict[str, Server]:
    url, pid = stack.enter_context(mirror.serving())
    tree = stack.enter_context(serving_tree(mirror.exported, bench.folder("nginx"), log=False))
    servers = {
        OURS: Server(url, pid),
        NGINX: Server(f"{tree.url}/simple/", tree.pid, negotiates=False),
    }
    place = bench.folder("proxpi")
    upstream = stack.enter_context(serving_index(bench.index("small"), place / "nginx", log=False))
    peer = stack.enter_context(proxpi(place, f"{upstream.url}/simple/"))
    return servers | ({PROXPI: Server(*peer)} if peer else {})


def _row(
    work: str, servers: Mapping[str, Server], urls: Mapping[str, str], *, media_type: str
) -> Row:
    rates: dict[str, list[Rate]] = {who: [] for who in servers}
    for url in urls.values():
        fetched(url, media_type)
    for _ in range(REPEATS):
        for who, server in servers.items():
            rates[who].append(_load(server, urls[who], media_type))
    found = {
        who: Rate(median(one.rate for one in all_of), median(one.cpu for one in all_of))
        for who, all_of in rates.items()
    }
    ours, nginx, peer = found[OURS], found[NGINX], found.get(PROXPI)
    to_nginx = ours.rate / nginx.rate
    numbers = {who: {"rate": rate.rate, "cpu": rate.cpu} for who, rate in found.items()}
    target = f"{AT_LEAST} x proxpi; a quarter of nginx"
    if peer is None:
        return Row(
            work, ours.text, f"nginx {nginx.text}", f"- / {to_nginx:.2f}", target, None, numbers
        )
    to_peer = ours.rate / peer.rate
    return Row(
        work,
        ours.text,
        f"{PROXPI} {peer.text}, nginx {nginx.text}",
        f"{to_peer:.1f} / {to_nginx:.2f}",
        target,
        to_peer >= AT_LEAST,
        numbers,
    )


def _load(server: Server, url: str, media_type: str) -> Rate:
    words = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{SECONDS}s",
        "--timeout",
        "20s",
        "-H",
        f"Accept: {media_type}",
        url,
    ]
    before = tree_cpu(server.pid)
    said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    cpu = tree_cpu(server.pid) - before
    count, rate = (
        re.search(r"(\d+) requests in", said),
        re.search(r"Requests/sec:\s+([\d.]+)", said),
    )
    if count is None or rate is None or "Non-2xx" in said:
        raise Unmeasured(f"`wrk` met errors at {url}:\n{said}")
    return Rate(float(rate[1]), cpu / int(count[1]) * 1_000_000)
