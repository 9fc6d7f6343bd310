"""The path of an uploaded file in the tree."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.plugin import Artifact, GroupedUnit, Refused, Unit, UploadedFile, safe_path
from reconciler_file.content import FILE
from reconciler_file.listing import group_of


def place_upload(file: UploadedFile, fields: Mapping[str, str]) -> list[GroupedUnit]:
    """Place a file under the path of the field `path`, else under its own name.

    Raises Refused for what is no path. Whether it can lie beside the others, the core decides.
    """
    path = fields.get("path") or file.name
    if not safe_path(path):
        raise Refused(
            f"{path!r:.200} is no path for a file",
            hint="a relative path such as `docs/guide.pdf`, without `.` and `..`",
        )
    return [(group_of(path), Unit(FILE, path, {}, [Artifact(path, file.sha256, file.size)]))]
