"""The part of a plugin's own configuration that no option model knows.

Manifests cannot set it, the installation can (`[plugins.ID]`), and a plugin reads it by
`config.get`: what it makes rests on it, as on its options.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from reconciler.model import Digest
from reconciler.plugin import PluginCallConfiguration


def _plain(value: Any) -> Any:
    """Encode what a plugin-level configuration may hold beside JSON, to take a digest of it."""
    return dict(value) if isinstance(value, Mapping) else type(value).__qualname__


ENCODER = msgspec.json.Encoder(order="sorted", enc_hook=_plain)


def settings_digest(config: Any, options: Any) -> Digest | None:
    """Return the digest of the settings that `options` does not have; None where there are none."""
    if not isinstance(config, PluginCallConfiguration):
        return None
    known = (
        set()
        if options is None
        else {
            name
            for field, info in type(options).model_fields.items()
            for name in (field, info.alias)
        }
    )
    settings = {key: value for key, value in config.plugin.items() if key not in known}
    return Digest.of(ENCODER.encode(settings)) if settings else None
