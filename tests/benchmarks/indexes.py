"""Synthetic indexes to mirror, made once and kept; a run works on a copy of hard links, which it
may advance.

As a program, `python -m tests.benchmarks.indexes FOLDER PROFILE GENERATION SERIALS` makes or
advances one: in a process of its own, so that what a large index needs in memory is not kept by the
one that measures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.benchmarks.places import KEPT
from tests.support.index import Index, Project, make_index, put

DESCRIPTION = "A synthetic project. " * 100


def copy_of(profile: str, folder: Path, *, serials: bool = True) -> Path:
    """The index of this profile, generation 0, as `folder`, which must not exist."""
    kept = KEPT / f"index-{profile}{'' if serials else '-without-serials'}"
    if not (kept / "index.json").exists():
        print(f"making the index `{profile}`, once ...", flush=True)
        beside = kept.with_name(f"{kept.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        advance(beside, profile, 0, serials=serials)
        beside.rename(kept)
    shutil.copytree(kept, folder, copy_function=os.link)
    return folder


def advance(folder: Path, profile: str, generation: int, *, serials: bool = True) -> None:
    """Make the index in `folder`, or bring it to a later generation."""
    subprocess.run(
        [sys.executable, "-m", __name__, folder, profile, str(generation), str(int(serials))],
        check=True,
    )


def read(folder: Path) -> Index:
    return msgspec.json.decode((folder / "index.json").read_bytes(), type=Index)


def _legacy(project: Project) -> bytes:
    """The older JSON document of a project, which bandersnatch asks for instead of its page."""
    releases: dict[str, list[dict[str, object]]] = {}
    for file in project.files:
        releases.setdefault(file.version, []).append(
            {
                "filename": file.filename,
                "url": f"/{file.path}",
                "digests": {"sha256": file.sha256},
                "core-metadata": {"sha256": file.metadata} if file.metadata else False,
                "packagetype": {"wheel": "bdist_wheel", "egg": "bdist_egg"}.get(file.kind, "sdist"),
                "requires_python": file.requires_python,
                "size": file.size,
                "upload_time_iso_8601": file.uploaded,
                "yanked": file.yanked,
                "yanked_reason": "withdrawn" if file.yanked else None,
            }
        )
    info = {
        "name": project.name,
        "version": project.files[-1].version,
        "description": DESCRIPTION,
        "requires_python": None,
        "yanked": False,
    }
    return msgspec.json.encode(
        {"info": info, "last_serial": project.serial, "releases": releases, "urls": []}
    )


def _main(folder: str, profile: str, *numbers: str) -> None:
    generation, serials = map(int, numbers)
    index = make_index(Path(folder), profile, generation=generation, serials=bool(serials))
    for project in index.projects:
        if project.normalized in index.written:
            put(Path(folder, "pypi", project.normalized, "json"), _legacy(project))
    if index.serials:
        known = Path(folder, "serials.map")
        more = "".join(
            f"/pypi/{project.normalized}/json {project.serial};\n" for project in index.projects
        )
        put(known, known.read_bytes() + more.encode())


if __name__ == "__main__":
    _main(*sys.argv[1:])
