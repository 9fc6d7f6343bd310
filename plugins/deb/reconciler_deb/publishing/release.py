"""The Release of a suite: what it is, and the digests of its indexes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from reconciler.plugin import RenderedFile
from reconciler_deb.options.publication_options import PublicationOptions
from reconciler_deb.publishing.indexes import parse_index_name
from reconciler_deb.reading.index_files import SOURCE


def render_release(
    suite: str, options: PublicationOptions, moment: datetime, *, files: Sequence[RenderedFile]
) -> bytes:
    """Return the Release of a suite.

    Files that are not served are listed as well: clients compare what they have unpacked.
    """
    names = [parse_index_name(file.index) for file in files]
    until = moment + options.valid_for if options.valid_for is not None else None
    fields = {
        "Origin": options.origin,
        "Label": options.label,
        "Suite": suite,
        "Codename": suite,
        "Date": _shown(moment),
        "Valid-Until": _shown(until) if until is not None else "",
        "Acquire-By-Hash": "yes",
        "Architectures": " ".join(sorted({name.architecture for name in names} - {SOURCE})),
        "Components": " ".join(sorted({name.component for name in names})),
        "Description": options.description,
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    folder = f"dists/{suite}/"
    listed = sorted((file.path.removeprefix(folder), file) for file in files)
    lines.append("SHA256:")
    lines += [f" {file.checksums['sha256']} {file.size:>10} {path}" for path, file in listed]
    return ("\n".join(lines) + "\n").encode()


def _shown(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC)).replace("+0000", "UTC")
