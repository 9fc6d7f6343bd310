"""Keys of a plugin that stand on a Remote: defaults of every source that names it.

A path among them is relative to the file that declares the Remote, whatever file the source is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.errors import Origin
from reconciler.manifest.canonical import canonical
from reconciler.manifest.document import Document, Path
from reconciler.manifest.kinds import RemoteSpec
from reconciler.manifest.plugin_lookup import Usable
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import keys
from reconciler.plugin import Options
from reconciler.plugin.options import Located
from reconciler.plugin.source_options import option_keys, options_of, remote_model

REMOTE_KEYS = tuple(keys(RemoteSpec))


@dataclass(frozen=True, slots=True)
class RemoteDefaults:
    """Keys that a Remote sets for the sources that name it.

    `values`: as written, with a token in the place of each path; `located`: the paths by token.
    `spec`: as recorded.
    """

    name: str
    values: Mapping[str, Any]
    spec: Mapping[str, Any]
    located: Mapping[str, Located]
    document: Document

    def find(self, path: Path) -> Origin | None:
        """Return where a key stands, by its path below the source that it counts for."""
        if not path or path[0] not in self.values:
            return None
        return self.document.find(("spec", *path))

    def note(self, written: Mapping[str, Any], text: str) -> str:
        """Return where those of its keys stand that a text on a source speaks of.

        `written`: keys that the source has itself.
        """
        told = [
            f"`{key}` at {self.document.place(('spec', key), key=True)}"
            for key in self.values
            if written.get(key) is None and f"`{key}`" in text
        ]
        return f"Remote `{shown(self.name)}` sets {', '.join(told)}" if told else ""


def remote_keys(checked: Checked, importer: Usable) -> dict[str, Any] | None:
    """Return the recorded form of the plugin's keys of a Remote, or None and faults."""
    validated = _validated(checked, importer)
    return None if validated is None else canonical(validated[0], validated[1], importer.given)


def remote_defaults(checked: Checked, importer: Usable) -> RemoteDefaults | None:
    """Return what a Remote sets for its sources; None where it is faulty or of another type.

    Nothing is reported: that is said of the Remote itself.
    """
    if checked.text("spec", "type") != importer.id:
        return None
    validated = _validated(Checked(checked.document, []), importer)
    if validated is None:
        return None
    written, options = validated
    located: dict[str, Located] = {}
    fields = keys(type(options))
    return RemoteDefaults(
        checked.text("metadata", "name") or "",
        {
            key: _carried(raw, getattr(options, fields[key]), located)
            for key, raw in written.items()
        },
        canonical(written, options, importer.given),
        located,
        checked.document.bare(),
    )


def _validated(checked: Checked, importer: Usable) -> tuple[dict[str, Any], Options] | None:
    """Return the plugin's keys of a Remote, as written and as a model, or None and faults."""
    left = {key: value for key, value in checked.mapping("spec").items() if key not in REMOTE_KEYS}
    elsewhere = left.keys() & option_keys(options_of(importer.cls, "remote"))
    elsewhere -= set(importer.cls.remote_keys)
    for key in sorted(elsewhere):
        checked.refuse(
            ("spec", key),
            f"`spec.{key}` is a key of sources, not of a Remote",
            f"write it into the sources that name this Remote: `remote: {{name: ..., {key}: ...}}`",
            key=True,
        )
    written = {key: value for key, value in left.items() if key not in elsewhere}
    options = checked.against(remote_model(importer.cls), ("spec",), written, also=REMOTE_KEYS)
    if options is None or elsewhere:
        return None
    return {key: value for key, value in written.items() if value is not None}, options


def _carried(raw: Any, value: Any, located: dict[str, Located]) -> Any:
    """Return `raw` with tokens for its paths, which another file names differently."""
    if isinstance(value, Located):
        token = f"\0{len(located)}"
        located[token] = value
        return token
    if isinstance(value, Options) and isinstance(raw, dict):
        fields = keys(type(value))
        return {
            key: _carried(item, getattr(value, fields[key]), located) for key, item in raw.items()
        }
    if isinstance(value, Mapping) and isinstance(raw, dict):
        return {key: _carried(item, value.get(key), located) for key, item in raw.items()}
    if isinstance(value, (list, tuple)) and isinstance(raw, list) and len(value) == len(raw):
        return [_carried(item, own, located) for item, own in zip(raw, value, strict=True)]
    return raw
