"""Protocols of publishers: the requests that they take, and what they answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from reconciler.model import StoredUnit, Unit, safe_path

METHODS = ("DELETE", "PATCH", "POST", "PUT")
UPLOAD_PATH = "upload/"
"""Path of uploads in the generic protocol: files, and fields that the importer knows."""

_PARAMETER = re.compile(r"\{([a-z_][a-z0-9_]*)(:path)?\}")

GroupedUnit = tuple[str, Unit]
"""A unit and the name of the group that it belongs to."""


class UploadedFile(msgspec.Struct, frozen=True):
    """Uploaded file. `name`: as the client calls it, without folders; hostile until parsed.

    `path`: where its bytes lie for the length of the call. `size` in bytes; `sha256`: 64 lower-case
    hex digits, computed from the bytes that arrived. `field`: name of the form's part that held it.
    """

    name: str
    path: Path
    size: int
    sha256: str
    field: str = ""


class Endpoint(msgspec.Struct, frozen=True):
    """Requests that a publisher takes, beside GET and HEAD of what it renders.

    `method`: DELETE, PATCH, POST or PUT. `path`: below the publication, empty for its own; `{name}`
    stands for one segment or part of one, `{name:path}` for the rest of the path. `form`: only
    forms (`multipart/form-data`) are taken; else a body of another type comes as one file.
    """

    method: str
    path: str
    form: bool = False

    def matched(self, path: str) -> dict[str, str] | None:
        """Return the parameters in a path; None where the endpoint is not about it."""
        match = _pattern(self.path).fullmatch(path)
        return None if match is None else match.groupdict()


GENERIC_UPLOAD = Endpoint("POST", UPLOAD_PATH, form=True)
"""The generic protocol: a form with files, and fields that the importer knows."""


class ReceivedRequest(msgspec.Struct, frozen=True):
    """Request to an endpoint, from a client that may send files.

    `path`: within the publication, decoded. `parameters`: those in the endpoint's path. `query`:
    values by name, in order. `headers`: by name in lower case, without credentials. `fields`: texts
    of a form by name; several of one name are lines. `files`: of a form, in order; another body
    is one file, called as the last segment of the path; of a DELETE only where it is not empty.
    `principal`: who sent it.
    """

    method: str
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    fields: Mapping[str, str]
    files: Sequence[UploadedFile]
    principal: str


class Answer(msgspec.Struct, frozen=True):
    """Response of a publisher to a request.

    `status`: 200 to 299, or 400 to 599. `headers`: beside those of the body.
    """

    status: int = 200
    body: bytes = b""
    media_type: str = "text/plain"
    headers: Mapping[str, str] = {}


class Received(msgspec.Struct, frozen=True):
    """The changes that a request makes, and the answer for its client once they are recorded.

    `units`: come in, or replace those of the same group, type and key; their artifacts are files
    that were sent, or those of units that the group holds. `removed`: uploaded units that leave.
    `answer`: None for the core's own, 201 and a sentence.
    """

    units: Iterable[GroupedUnit] = ()
    removed: Iterable[StoredUnit] = ()
    answer: Answer | None = None


class Matched(msgspec.Struct, frozen=True):
    """An endpoint, and the parameters that it finds in a path."""

    endpoint: Endpoint
    parameters: Mapping[str, str]


def matched_endpoints(endpoints: Iterable[Endpoint], path: str) -> dict[str, Matched]:
    """Return the endpoints that are about a path, by method. The first one of a method counts."""
    matches: dict[str, Matched] = {}
    for endpoint in endpoints:
        parameters = endpoint.matched(path)
        if parameters is not None:
            matches.setdefault(endpoint.method, Matched(endpoint, parameters))
    return matches


def endpoint_problem(endpoint: object) -> str:
    """Return what is wrong with an endpoint that a plugin declares; empty if nothing is."""
    if not isinstance(endpoint, Endpoint):
        return "is no Endpoint: write `Endpoint(method, path)`"
    if endpoint.method not in METHODS:
        return f"has the method {endpoint.method!r:.40}: one of {', '.join(METHODS)} is possible"
    plain = _PARAMETER.sub("x", endpoint.path) if isinstance(endpoint.path, str) else None
    if (
        plain is None
        or (plain and not safe_path(plain.removesuffix("/")))
        or set("{}") & set(plain)
    ):
        return (
            f"has the path {endpoint.path!r:.80}, which no request can have:"
            " relative, without empty, `.` or `..` segments, parameters as `{name}`"
        )
    names = [match[1] for match in _PARAMETER.finditer(endpoint.path)]
    return "names a parameter twice" if len(set(names)) < len(names) else ""


def _pattern(path: str) -> re.Pattern[str]:
    """Return the regular expression of an endpoint's path; `re` keeps compiled ones."""
    parts, end = [], 0
    for match in _PARAMETER.finditer(path):
        parts += [
            re.escape(path[end : match.start()]),
            f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})",
        ]
        end = match.end()
    return re.compile("".join([*parts, re.escape(path[end:])]), re.DOTALL)
