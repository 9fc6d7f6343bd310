"""The path of an uploaded file in the tree."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.plugin import Artifact, Members, Placed, Refused, Unit, UploadedFile, safe_path
from reconciler_file.content import FILE
from reconciler_file.listing import group_of


def place_upload(held: Members, file: UploadedFile, fields: Mapping[str, str]) -> list[Placed]:
    """Place a file under the path of the field `path`, else under its own name.

    Raises Refused for a path that conflicts with files that are `held` already.
    """
    path = fields.get("path") or file.name
    if not safe_path(path):
        raise Refused(
            f"{path!r:.200} is no path for a file",
            hint="a relative path such as `docs/guide.pdf`, without `.` and `..`",
        )
    in_the_way = _in_the_way(held, path)
    if in_the_way is not None:
        raise Refused(
            f"`{path}` cannot lie beside `{in_the_way}`: one name would be a file and a folder",
            hint="send it under another path",
        )
    return [(group_of(path), Unit(FILE, path, {}, [Artifact(path, file.sha256, file.size)]))]


def _in_the_way(conduit: Members, path: str) -> str | None:
    """Return a held file where `path` needs a folder, or below `path`; None for no conflict.

    Files below may be in any group: all groups are searched, as the publisher does for its list,
    unless the path itself is held, which rules them out.
    """
    segments = path.split("/")
    for end in range(1, len(segments)):
        folder = "/".join(segments[:end])
        if any(unit.key == folder for unit in conduit.units(group_of(folder))):
            return folder
    if any(unit.key == path for unit in conduit.units(group_of(path))):
        return None
    below = f"{path}/"
    files_below = (
        unit.key
        for group in list(conduit.groups())
        for unit in conduit.units(group)
        if unit.key.startswith(below)
    )
    return next(files_below, None)
