"""Choice of the reader of a description."""

from __future__ import annotations

from typing import Final

from reconciler.plugin import Description, Draft
from reconciler_python.arriving import bandersnatch

KINDS: Final = (bandersnatch.KIND,)


def translate(description: Description) -> Draft | None:
    """Return the draft of a description, or None for none of `KINDS`."""
    if description.kind in (None, bandersnatch.KIND):
        name = _configuration(description)
        if name is not None:
            return bandersnatch.translate(description, name)
    return None


def _configuration(description: Description) -> str | None:
    """Return the name of bandersnatch's configuration within a description."""
    if description.is_folder:
        return "bandersnatch.conf" if description.has("bandersnatch.conf") else None
    if description.kind == bandersnatch.KIND:
        return ""
    return "" if description.path.suffix == ".conf" and "[mirror]" in description.text() else None
