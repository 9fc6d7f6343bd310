"""An index on a far shore: every answer comes some milliseconds late. Says its URL on stdout and
serves until it is ended.

python -m tests.benchmarks.slow_index FOLDER MILLISECONDS
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from tests.benchmarks.indexes import read

JSON = "application/vnd.pypi.simple.v1+json"


@contextmanager
def slow_index(folder: Path, milliseconds: int) -> Iterator[str]:
    """Its URL, without a slash at the end."""
    command: list[str | Path] = [sys.executable, "-m", __name__, folder, str(milliseconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def _application(folder: Path, delay: float) -> web.Application:
    index = read(folder)
    serials = {project.normalized: str(project.serial) for project in index.projects}

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(delay)
        parts = [part for part in request.path.split("/") if part]
        media_type = "application/octet-stream"
        if parts[0] == "simple":
            name, media_type = (
                ("index.json", JSON)
                if JSON in request.headers.get("Accept", "")
                else ("index.html", "text/html")
            )
            parts.append(name)
        elif parts[0] == "pypi":
            media_type = "application/json"
        path = folder.joinpath(*parts)
        if not path.is_file():
            return web.Response(status=404)
        serial = serials.get(parts[1], str(index.serial))
        return web.FileResponse(
            path, headers={"Content-Type": media_type, "X-PyPI-Last-Serial": serial}
        )

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    return application


async def _serve(folder: Path, delay: float) -> None:
    runner = web.AppRunner(_application(folder, delay), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]) / 1000))
