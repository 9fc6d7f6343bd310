"""Who a plugin is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Metadata(msgspec.Struct, frozen=True):
    """Who a plugin is. `id`: unique per kind; `types`: IDs of the content types it handles; `api`:
    a PEP 440 range of API versions.
    """

    id: str
    display_name: str
    types: Sequence[str] = ()
    api: str = ">=1.0,<2"
