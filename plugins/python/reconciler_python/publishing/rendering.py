"""Pages of the simple API, version 1.4: JSON and, rendered from the same data, HTML.

JSON follows PEP 691, 700, 714, 740 and 792, HTML PEP 503 and 592. Pages are written as text with
`html.escape` rather than through a template engine: a project page is one line repeated, and a run
that changes three pages should not pay for importing and compiling templates (some 70 ms). Every
value passes through `escape`, whatever its origin and earlier checks; further keys that a unit
carries are merged only where no specification gives them a meaning, so what is rendered as a known
key was read as one.

HTML carries two attributes that no specification has, because uv reads them: `data-upload-time` and
`data-size`. URLs are relative, so that a tree may be served anywhere, but for provenance: PEP 740
wants that one absolute, and there are clients that refuse a whole page for a relative one. It is
named where the publication's own URL is known; the object is there in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final
from urllib.parse import quote

import msgspec
from packaging.version import InvalidVersion, Version

from reconciler.plugin import StoredUnit
from reconciler_python.reading.documents import FILE_KEYS, PAGE_KEYS, unknown_keys
from reconciler_python.reading.units import DISTRIBUTION, artifact_of
from reconciler_python.reading.upload_times import upload_time

API_VERSION: Final = "1.4"
FIRST_SEEN: Final = "_firstSeen"  # as the core says it of units that are `is_undated`

_HEAD = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta'
    f' name="pypi:repository-version" content="{API_VERSION}">\n'
)
_PEP700_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_META = {"api-version": API_VERSION}
_JSON = msgspec.json.Encoder()

VersionKey = tuple[int, Version | str]


def file_path(project: str, sha256: str, filename: str) -> str:
    """Return the path of a file below the publication's root.

    The digest in it makes what is behind the URL immutable.
    """
    return f"files/{project}/{sha256}/{filename}"


def project_pages(
    name: str,
    distributions: Sequence[StoredUnit],
    project: StoredUnit | None,
    *,
    base_url: str = "",
) -> tuple[bytes, bytes]:
    """Return the page of one project as (HTML, JSON): files by version, then filename.

    `project`: its status, where there is one. `base_url`: of the publication, with a slash at its
    end; empty where it is not known.
    """
    # `1.0` and `1.0.0` are one version in two spellings: the text decides, so that the order is the
    # same everywhere.
    versions = sorted(
        {unit.metadata["version"] for unit in distributions},
        key=lambda text: (version_key(text), text),
    )
    rank = {version: number for number, version in enumerate(versions)}
    ordered = sorted(distributions, key=lambda unit: (rank[unit.metadata["version"]], unit.key))
    files = [_file(unit, base_url) for unit in ordered]
    readable_versions = [
        version for version in versions if version
    ]  # of a legacy filename it may be unknown
    page: dict[str, Any] = {
        "meta": _META,
        "name": name,
        "versions": readable_versions,
        "files": files,
    }
    status = _status(project)
    if status:
        page["project-status"] = status
    if project and "extra" in project.metadata:
        page = {**unknown_keys(project.metadata["extra"], PAGE_KEYS), **page}
    return _project_html(name, files, status), _JSON.encode(page)


def list_pages(names: Iterable[str]) -> tuple[bytes, bytes]:
    """Return the list of all projects as (HTML, JSON)."""
    listed = list(names)
    shown = _escaped(listed)
    anchors = "".join([f'<a href="{name}/">{name}</a><br>\n' for name in shown])
    html = f"{_HEAD}<title>Simple index</title>\n</head>\n<body>\n{anchors}</body>\n</html>\n"
    return html.encode(), _JSON.encode(
        {"meta": _META, "projects": [{"name": name} for name in listed]}
    )


def serial_list(serials: Mapping[str, int], serial: int) -> bytes:
    """Return the list of all projects in JSON, with when each was last published, as a number.

    Such serials are an addition that mirrors rely on: they ask for what changed alone.
    """
    projects = [{"name": name, "_last-serial": last} for name, last in sorted(serials.items())]
    return _JSON.encode({"meta": {**_META, "_last-serial": serial}, "projects": projects})


def _escaped(names: Sequence[str]) -> Iterable[str]:
    """Escape names for HTML.

    Normalised names hold nothing to escape: looked at all at once, a list of half a million costs
    next to nothing.
    """
    joined = "\n".join(names)
    return names if escape(joined) == joined else map(escape, names)


def version_key(text: str) -> VersionKey:
    """Return the sort key of a version: ascending by PEP 440, unreadable texts last."""
    try:
        return (0, Version(text))
    except InvalidVersion:
        return (1, text)


def is_undated(unit: StoredUnit) -> bool:
    """Return True for a file of which upstream states no upload time that could be shown."""
    return unit.type == DISTRIBUTION and _pep700_time(unit.metadata.get("uploadTime")) is None


def _file(unit: StoredUnit, base_url: str) -> dict[str, Any]:
    """Return one entry of `files`.

    Its URL is relative, so that a served and an exported tree are the same bytes.
    """
    file = artifact_of(unit, unit.key)
    assert file is not None, unit.key
    metadata = unit.metadata
    path = file_path(unit.group, file.sha256, quote(unit.key, safe=""))
    entry: dict[str, Any] = {
        "filename": unit.key,
        "url": f"../../{path}",
        "hashes": {"sha256": file.sha256},
    }
    if file.size is not None:
        entry["size"] = file.size
    uploaded = _pep700_time(metadata.get("uploadTime")) or _pep700_time(metadata.get(FIRST_SEEN))
    if uploaded:
        entry["upload-time"] = uploaded
    if "requiresPython" in metadata:
        entry["requires-python"] = metadata["requiresPython"]
    if "yanked" in metadata:
        entry["yanked"] = metadata["yanked"]
    beside = artifact_of(unit, f"{unit.key}.metadata")
    if beside:
        entry["core-metadata"] = {"sha256": beside.sha256}
    if base_url and artifact_of(unit, f"{unit.key}.provenance"):
        entry["provenance"] = f"{base_url}{path}.provenance"
    return {**unknown_keys(metadata["extra"], FILE_KEYS), **entry} if "extra" in metadata else entry


def _pep700_time(text: str | None) -> str | None:
    """Return a time in UTC with a `Z`, as PEP 700 asks for; None where it cannot be read.

    Rule: no time goes out that is none, since there are clients that refuse a whole page for it.
    """
    moment = upload_time(text)
    if moment is None:
        return None
    if text is not None and _PEP700_TIME.fullmatch(text):
        return text
    return moment.isoformat().replace("+00:00", "Z")


def _status(project: StoredUnit | None) -> dict[str, str]:
    if project is None:
        return {}
    return {key: project.metadata[key] for key in ("status", "reason") if key in project.metadata}


def _project_html(name: str, files: Sequence[dict[str, Any]], status: dict[str, str]) -> bytes:
    metas = {
        "pypi:project-status": status.get("status"),
        "pypi:project-status-reason": status.get("reason"),
    }
    head = "".join(
        f'<meta name="{key}" content="{escape(str(value))}">\n'
        for key, value in metas.items()
        if value
    )
    shown = escape(name)
    title = f"<title>Links for {shown}</title>\n</head>\n<body>\n<h1>Links for {shown}</h1>\n"
    return "".join([_HEAD, head, title, *map(_anchor, files), "</body>\n</html>\n"]).encode()


def _anchor(entry: dict[str, Any]) -> str:
    attributes = _attribute("href", f"{entry['url']}#sha256={entry['hashes']['sha256']}")
    if "requires-python" in entry:
        attributes += _attribute("data-requires-python", entry["requires-python"])
    if "yanked" in entry:
        yanked = entry["yanked"]
        attributes += _attribute("data-yanked", yanked if isinstance(yanked, str) else "")
    if "core-metadata" in entry:
        digest = escape(f"sha256={entry['core-metadata']['sha256']}")
        attributes += f' data-core-metadata="{digest}" data-dist-info-metadata="{digest}"'
    if "provenance" in entry:
        attributes += _attribute("data-provenance", entry["provenance"])
    if "upload-time" in entry:
        attributes += _attribute("data-upload-time", entry["upload-time"])
    if "size" in entry:
        attributes += _attribute("data-size", entry["size"])
    return f"<a{attributes}>{escape(entry['filename'])}</a><br>\n"


def _attribute(name: str, value: object) -> str:
    return f' {name}="{escape(str(value))}"'
