"""Pages of the synthetic index: PEP 503 HTML and PEP 691 JSON with what PEP 592, 658, 700 and 714
add.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tests.support.index import File, Index, Project


def json_page(project: Project, base_url: str, *, serials: bool) -> bytes:
    files = [_json_file(file, base_url) for file in project.files]
    versions = list(dict.fromkeys(file.version for file in project.files))
    return msgspec.json.encode(
        {
            "meta": _meta(project.serial, serials),
            "name": project.normalized,
            "versions": versions,
            "files": files,
        }
    )


def json_list(index: Index) -> bytes:
    projects = [
        {"name": project.name, **({"_last-serial": project.serial} if index.serials else {})}
        for project in index.projects
    ]
    return msgspec.json.encode({"meta": _meta(index.serial, index.serials), "projects": projects})


def html_page(project: Project, base_url: str, *, serials: bool) -> bytes:
    return _html(
        f"Links for {project.normalized}",
        [_html_file(file, base_url) for file in project.files],
        project.serial if serials else None,
    )


def html_list(index: Index) -> bytes:
    links = [f'<a href="{project.normalized}/">{project.name}</a>' for project in index.projects]
    return _html("Simple index", links, index.serial if index.serials else None)


def _meta(serial: int, serials: bool) -> dict[str, Any]:
    return {"api-version": "1.1", **({"_last-serial": serial} if serials else {})}


def _url(file: File, base_url: str) -> str:
    return f"{base_url or '../..'}/{file.path}"


def _json_file(file: File, base_url: str) -> dict[str, Any]:
    core_metadata = {"sha256": file.metadata} if file.metadata else False
    return {
        "filename": file.filename,
        "url": _url(file, base_url),
        "hashes": {"sha256": file.sha256},
        "requires-python": file.requires_python,
        "size": file.size,
        "upload-time": file.uploaded,
        "yanked": "withdrawn" if file.yanked else False,
        "core-metadata": core_metadata,
        "data-dist-info-metadata": core_metadata,
    }


def _html_file(file: File, base_url: str) -> str:
    attributes = [
        f'href="{_url(file, base_url)}#sha256={file.sha256}"',
        f'data-requires-python="{escape(file.requires_python)}"',
    ]
    if file.yanked:
        attributes.append('data-yanked="withdrawn"')
    if file.metadata:
        attributes += [
            f'data-{name}="sha256={file.metadata}"'
            for name in ("dist-info-metadata", "core-metadata")
        ]
    return f"<a {' '.join(attributes)}>{file.filename}</a><br>"


def _html(title: str, links: list[str], serial: int | None) -> bytes:
    head = f'<meta name="pypi:repository-version" content="1.1">\n<title>{title}</title>'
    end = "" if serial is None else f"<!--SERIAL {serial}-->\n"
    body = "\n".join(links)
    return (
        f"<!DOCTYPE html>\n<html>\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n{end}"
    ).encode()
