"""The floor: fetch every page and file of an index, check each digest, write each file. No state,
no second chance, no pages.

python -m tests.benchmarks.bare SIMPLE_URL FOLDER
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import msgspec

AT_ONCE = 16
BLOCK = 1 << 16
ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json"}


async def mirror(index: str, folder: Path) -> None:
    slots = asyncio.Semaphore(AT_ONCE)
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def page(url: str) -> Any:
            async with slots, session.get(url, headers=ACCEPT) as answer:
                answer.raise_for_status()
                return msgspec.json.decode(await answer.read())

        async def file(url: str, sha256: str) -> None:
            seen = hashlib.sha256()
            path = folder / sha256
            async with slots, session.get(url) as answer:
                answer.raise_for_status()
                with path.with_suffix(".part").open("wb") as out:
                    async for block in answer.content.iter_chunked(BLOCK):
                        seen.update(block)
                        out.write(block)
            if seen.hexdigest() != sha256:
                raise ValueError(url)
            path.with_suffix(".part").rename(path)

        async def project(name: str) -> None:
            url = urljoin(index, f"{name.lower().replace('_', '-').replace('.', '-')}/")
            entries = (await page(url))["files"]
            await asyncio.gather(
                *(file(urljoin(url, entry["url"]), entry["hashes"]["sha256"]) for entry in entries)
            )

        await asyncio.gather(*(project(one["name"]) for one in (await page(index))["projects"]))


if __name__ == "__main__":
    asyncio.run(mirror(sys.argv[1], Path(sys.argv[2])))
