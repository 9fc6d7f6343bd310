"""A synthetic package index on disk, for tests and benchmarks: valid, deterministic, of a chosen
size.

The same profile and generation give the same files, byte for byte. Generation *g* is the state
after *g* rounds of change; each adds one release to one project in a hundred. Made again in the
same folder with a higher generation, only what changed is written, as a real index changes under a
mirror.

    packages/<aa>/<bb>/<rest of sha256>/<file>[.metadata]
    simple/index.html, simple/index.json, simple/<project>/index.html, simple/<project>/index.json
    serials.map         nginx map: path -> X-PyPI-Last-Serial
    index.json          what is there, as `Index`
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.support.index_files import Built, Kind, build
from tests.support.index_pages import html_list, html_page, json_list, json_page

LARGEST = 4_000_000
WORDS = (
    *(
        "amber",
        "birch",
        "cedar",
        "dune",
        "ember",
        "fern",
        "grove",
        "heath",
        "iris",
        "juniper",
        "kelp",
        "linden",
    ),
    *(
        "moss",
        "nettle",
        "opal",
        "pine",
        "quill",
        "reed",
        "sage",
        "thistle",
        "umber",
        "vale",
        "willow",
        "yew",
    ),
)
PLATFORMS = (
    "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64",
    "cp312-cp312-win_amd64",
    "cp313-cp313-macosx_11_0_arm64",
    "cp311-abi3-musllinux_1_2_x86_64",
)
PYTHONS = (">=3.8", ">=3.9", ">=3.10", ">=3.7,<4")
PRE_RELEASES = ("a1", "b2", "rc1", ".dev3")


@dataclass(frozen=True, slots=True)
class Profile:
    """`projects`: besides the three fixed ones. `payload`: median bytes of a file; sizes are
    log-normal with `spread`.
    """

    projects: int
    releases: float
    payload: int
    spread: float


PROFILES = {
    "tiny": Profile(10, 3, 12_000, 1.2),
    "small": Profile(200, 3.5, 32_000, 1.5),
    "medium": Profile(2000, 3.5, 17_000, 1.5),
}


class File(msgspec.Struct, frozen=True):
    """A distribution as the pages show it. `path`: below the folder. `metadata`: sha256 of
    `<path>.metadata`, or None.
    """

    filename: str
    version: str
    kind: Kind
    path: str
    sha256: str
    size: int
    requires_python: str
    uploaded: str
    yanked: bool
    metadata: str | None


class Project(msgspec.Struct, frozen=True):
    name: str
    normalized: str
    serial: int
    files: list[File]


class Index(msgspec.Struct, frozen=True):
    """`written`: names of the projects whose pages the last call wrote."""

    profile: str
    generation: int
    base_url: str
    serials: bool
    projects: list[Project]
    written: list[str]

    @property
    def serial(self) -> int:
        return max(project.serial for project in self.projects)

    @property
    def files(self) -> list[File]:
        return [file for project in self.projects for file in project.files]


@dataclass(frozen=True, slots=True)
class Release:
    """What a release is made of. `sizes`: payload bytes of its files; None draws them. `since`: the
    generation that added it.
    """

    version: str
    wheels: int
    size: int | None = None
    since: int = 0
    yanked: bool = False
    egg: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A project before its files exist."""

    position: int
    name: str
    releases: tuple[Release, ...]
    requires: tuple[str, ...] = ()
    text: str = "A project of a fixed shape."

    @property
    def normalized(self) -> str:
        return normalized(self.name)

    @property
    def serial(self) -> int:
        return 10_000 + self.position + 1_000_000 * max(release.since for release in self.releases)


def make_index(
    folder: Path, profile: str, *, generation: int = 0, base_url: str = "", serials: bool = True
) -> Index:
    """Make or advance the index in `folder`. `base_url`: where it will be served; without it links
    are relative.
    """
    base_url = base_url.rstrip("/")
    before = _before(folder, profile, base_url, serials=serials)
    projects, written = [], []
    for plan in _plans(PROFILES[profile], generation):
        known = before.get(plan.normalized)
        if known is not None and known.serial == plan.serial:
            projects.append(known)
            continue
        project = _project(folder, plan, known, profile=PROFILES[profile])
        put(
            folder / "simple" / plan.normalized / "index.json",
            json_page(project, base_url, serials=serials),
        )
        put(
            folder / "simple" / plan.normalized / "index.html",
            html_page(project, base_url, serials=serials),
        )
        projects.append(project)
        written.append(project.normalized)
    index = Index(profile, generation, base_url, serials, projects, written)
    put(folder / "simple" / "index.json", json_list(index))
    put(folder / "simple" / "index.html", html_list(index))
    lines = [
        f"/simple/ {index.serial};",
        *(f"/simple/{project.normalized}/ {project.serial};" for project in projects),
    ]
    put(folder / "serials.map", "\n".join([*lines, ""]).encode() if serials else b"")
    put(folder / "index.json", msgspec.json.encode(index))
    return index


def put(path: Path, data: bytes) -> None:
    """Write a file, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def normalized(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _before(folder: Path, profile: str, base_url: str, *, serials: bool) -> dict[str, Project]:
    """What an earlier call made, if its pages may stay as they are."""
    path = folder / "index.json"
    if not path.exists():
        return {}
    index = msgspec.json.decode(path.read_bytes(), type=Index)
    if (index.profile, index.base_url, index.serials) != (profile, base_url, serials):
        return {}
    return {project.normalized: project for project in index.projects}


def _plans(profile: Profile, generation: int) -> Iterator[Plan]:
    changed = [
        set(_draw("change", g).sample(range(profile.projects), max(1, profile.projects // 100)))
        for g in range(1, generation + 1)
    ]
    for position in range(profile.projects):
        draw = _draw("project", position)
        late = [
            Release(f"9.{g}.0", 2, since=g)
            for g, positions in enumerate(changed, 1)
            if position in positions
        ]
        requires = tuple(
            f"{normalized(_name(draw.randrange(profile.projects)))}>=0.1"
            for _ in range(draw.randrange(4))
        )
        text = " ".join(draw.choices(WORDS, k=draw.randrange(50, 600)))
        yield Plan(position, _name(position), (*_releases(draw, profile), *late), requires, text)
    yield Plan(
        profile.projects,
        "fixed-many-files",
        tuple(Release(f"{k // 10}.{k % 10}.0", 2, 1_000) for k in range(100)),
    )
    yield Plan(profile.projects + 1, "fixed-wheel-20k", (Release("1.0.0", 1, 19_000),))
    yield Plan(profile.projects + 2, "fixed-wheel-5m", (Release("1.0.0", 1, 5_000_000),))


def _releases(draw: random.Random, profile: Profile) -> Iterator[Release]:
    """The first is always stable, not yanked and has a pure wheel: everything can be installed."""
    for k in range(max(1, round(draw.gauss(profile.releases, 1)))):
        version = f"{k // 4}.{k % 4 + 1}.{draw.randrange(10)}"
        suffix = draw.choice(PRE_RELEASES) if draw.random() < 0.08 else ""
        wheels = max(1, min(5, round(draw.gauss(2, 0.7))))
        yield Release(
            version + suffix * (k > 0),
            wheels,
            yanked=k > 0 and draw.random() < 0.04,
            egg=draw.random() < 0.02,
        )


def _name(position: int) -> str:
    """Names of every style; some differ from their normalized form."""
    first, second = WORDS[position % len(WORDS)], WORDS[position // len(WORDS) % len(WORDS)]
    styles = (
        f"{first}-{second}-{position}",
        f"{first}_{second}{position}",
        f"{first.title()}.{second}{position}",
        f"{first}{second}{position}",
    )
    return styles[position % len(styles)]


def _draw(*key: object) -> random.Random:
    return random.Random("/".join(map(str, key)))


def _project(folder: Path, plan: Plan, known: Project | None, *, profile: Profile) -> Project:
    kept = list(known.files) if known else []
    have = {file.version for file in kept}
    new = [
        file
        for release in plan.releases
        if release.version not in have
        for file in _files(folder, plan, release, profile=profile)
    ]
    return Project(plan.name, plan.normalized, plan.serial, kept + new)


def _files(folder: Path, plan: Plan, release: Release, *, profile: Profile) -> Iterator[File]:
    draw = _draw("release", plan.name, release.version)
    requires_python = draw.choice(PYTHONS)
    tags = ["py3-none-any", *draw.sample(PLATFORMS, release.wheels - 1)]
    wanted: list[tuple[Kind, str]] = [("sdist", ""), *(("wheel", tag) for tag in tags)]
    if release.egg:
        wanted.append(("egg", "py3.11"))
    for place, (kind, tag) in enumerate(wanted):
        payload = draw.randbytes(release.size or _size(draw, profile))
        built = build(
            kind,
            plan.name,
            release.version,
            tag,
            payload,
            requires_python=requires_python,
            requires=plan.requires,
            text=plan.text,
        )
        day = f"{2024 + release.since % 50}-01-{1 + plan.position % 28:02}"
        uploaded = f"{day}T{plan.position % 24:02}:{place:02}:00.000000Z"
        yield _stored(folder, release, built, requires_python=requires_python, uploaded=uploaded)


def _size(draw: random.Random, profile: Profile) -> int:
    return int(
        min(LARGEST, max(500, draw.lognormvariate(math.log(profile.payload), profile.spread)))
    )


def _stored(
    folder: Path, release: Release, built: Built, *, requires_python: str, uploaded: str
) -> File:
    sha256 = built.sha256
    path = f"packages/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{built.filename}"
    put(folder / path, built.content)
    if built.kind == "wheel":
        put(folder / f"{path}.metadata", built.metadata)
    metadata = built.metadata_sha256 if built.kind == "wheel" else None
    return File(
        built.filename,
        release.version,
        built.kind,
        path,
        sha256,
        len(built.content),
        requires_python,
        uploaded,
        release.yanked,
        metadata,
    )


def named(projects: Sequence[Project], name: str) -> Project:
    """The project of that normalized name."""
    return next(project for project in projects if project.normalized == name)
