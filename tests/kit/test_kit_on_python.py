"""The kit on the plugin `python`: simple indexes in JSON, with serials and without, and one in
HTML.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from urllib.parse import urljoin

from reconciler.plugin.testing import Conformance, Subject, Upstream
from reconciler_python import distribution, importer, project, publisher
from tests.support.clients import fetched
from tests.support.wheels import Built, build_sdist, build_wheel

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"

Projects = Mapping[str, Sequence[Built]]
Rendered = dict[str, bytes]

FIRST: Projects = {
    "anchor": [
        build_wheel("anchor", "1.0"),
        build_wheel("anchor", "1.1"),
        build_sdist("anchor", "1.1"),
    ],
    "buoy": [build_wheel("buoy", "0.1", requires_python=">=3.9")],
    "capstan": [build_wheel("capstan", "2.0", requires=["anchor"])],
}
CHANGED: list[Projects] = [
    {**FIRST, "buoy": [*FIRST["buoy"], build_wheel("buoy", "0.2")]},
    {**FIRST, "anchor": FIRST["anchor"][1:], "dinghy": [build_wheel("dinghy", "1")]},
    {"anchor": FIRST["anchor"]},
]


def entry(built: Built) -> dict[str, object]:
    """A file as a project's page lists it; wheels tell their metadata's digest."""
    told = (
        {"core-metadata": {"sha256": built.metadata_sha256}}
        if built.filename.endswith(".whl")
        else {}
    )
    hashes = {"sha256": built.sha256}
    return {
        "filename": built.filename,
        "url": f"../../files/{built.filename}",
        "hashes": hashes,
        "size": len(built.content),
        **told,
    }


def files(projects: Projects) -> Rendered:
    found: Rendered = {}
    for built in (unit for held in projects.values() for unit in held):
        found[f"files/{built.filename}"] = built.content
        found[f"files/{built.filename}.metadata"] = built.metadata
    return found


def as_json(projects: Projects) -> Rendered:
    """PEP 691."""
    names = [{"name": name} for name in projects]
    found = {"simple/": json.dumps({"meta": {"api-version": "1.1"}, "projects": names}).encode()}
    for name, held in projects.items():
        versions = sorted({built.filename.split("-")[1].removesuffix(".tar.gz") for built in held})
        page = {
            "meta": {"api-version": "1.1"},
            "name": name,
            "versions": versions,
            "files": [entry(built) for built in held],
        }
        found[f"simple/{name}/"] = json.dumps(page).encode()
    return {**files(projects), **found}


def as_html(projects: Projects) -> Rendered:
    """PEP 503."""
    found = {"simple/": "".join(f'<a href="{name}/">{name}</a>\n' for name in projects).encode()}
    for name, held in projects.items():
        links = [
            f'<a href="../../files/{unit.filename}#sha256={unit.sha256}">{unit.filename}</a>'
            for unit in held
        ]
        found[f"simple/{name}/"] = b"<!DOCTYPE html><body>" + "\n".join(links).encode()
    return {
        **files(projects),
        **{
            path: b"<!DOCTYPE html>" + body
            for path, body in found.items()
            if path.startswith("simple/")
        },
    }


def becomes(pages: Rendered) -> Callable[[Upstream], None]:
    def change(upstream: Upstream) -> None:
        for path in upstream.pages.keys() - pages.keys():
            upstream.remove(path)
        for path, body in pages.items():
            upstream.put(path, body)

    return change


def upstream(render: Callable[[Projects], Rendered], media_type: str) -> Upstream:
    every = {
        path
        for projects in (FIRST, *CHANGED)
        for path in render(projects)
        if path.startswith("simple/")
    }
    return Upstream(render(FIRST), media_types=dict.fromkeys(every, media_type))


def client(url: str) -> None:
    """Read as pip does: the list, the page of a project, and a file of it."""
    page = f"{url}simple/"
    name = json.loads(fetched(page, Accept=JSON))["projects"][0]["name"]
    for line in json.loads(fetched(f"{page}{name}/", Accept=JSON))["files"]:
        body = fetched(urljoin(f"{page}{name}/", line["url"]))
        assert sha256(body).hexdigest() == line["hashes"]["sha256"]


class TestJson(Conformance):
    def subject(self) -> Subject:
        return Subject(
            importer=importer,
            publisher=publisher,
            content_types=[distribution, project],
            upstream=upstream(as_json, JSON),
            changes=[becomes(as_json(files)) for files in CHANGED],
            path="simple/",
            source={"everything": True, "exclude": ["zzz"]},
            client=client,
        )


class TestHtml(Conformance):
    def subject(self) -> Subject:
        return Subject(
            importer=importer,
            publisher=publisher,
            content_types=[distribution, project],
            upstream=upstream(as_html, HTML),
            changes=[becomes(as_html(files)) for files in CHANGED[:2]],
            path="simple/",
            source={"include": ["anchor", "buoy"]},
            remote={"policy": "on-demand"},
            client=client,
        )
