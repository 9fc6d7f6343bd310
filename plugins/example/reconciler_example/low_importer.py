"""Importer that compares a `PULP_MANIFEST` with the source and records the difference."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import quote, urljoin

from reconciler.plugin import (
    Artifact,
    GroupedUnit,
    Importer,
    Malformed,
    Metadata,
    PluginCallConfiguration,
    Refused,
    SyncConduit,
    Unit,
    UploadConduit,
    UploadedFile,
    safe_path,
    sanitize,
)
from reconciler_example.content import EXAMPLE_FILE
from reconciler_example.manifests import Listed, read_manifest
from reconciler_example.options import FilterOptions, SourceOptions

Groups = Mapping[str, Mapping[str, Listed]]

_NO_PATH: Final = "not a relative path that stays below its folder, of printable characters"


class ExampleImporter(Importer[SourceOptions, FilterOptions]):
    """Low-level importer: overrides `sync`, declares no groups, compares by itself."""

    folder_urls = False
    shared_groups = True  # they are buckets of paths: any source may bring a file

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("example", "Files (low-level example)", (EXAMPLE_FILE,), ">=2.0,<3")

    async def sync(
        self, conduit: SyncConduit[SourceOptions, FilterOptions], config: PluginCallConfiguration
    ) -> None:
        """Record the changes of the manifest.

        The scratchpad holds the validator of the manifest read last, and a digest of each group's
        lines.
        """
        note = conduit.get_scratchpad() or {}
        # of the manifest read last: False if it was committed with other options or filters
        same_rules = "validator" in note and conduit.unchanged(note["validator"])
        page = await conduit.get("")
        if conduit.unchanged(page.validator):
            return
        # a long manifest takes seconds: other sources go on meanwhile
        listed = await asyncio.to_thread(list, read_manifest(page))
        if listed and not any(safe_path(file.name) for file in listed):
            # such a list does not say that everything is gone
            raise Malformed(
                f"{page.url}: none of its lines can be used; the first is {_NO_PATH}",
                hint="nothing of this source is changed",
            )
        groups = _groups(conduit, listed)
        lines = {name: _digest(files) for name, files in groups.items()}
        previous = note["lines"] if same_rules else {}
        for name in sorted({*groups, *conduit.groups()}):
            if name not in previous or previous[name] != lines.get(name):
                _compare(conduit, name, groups.get(name, {}), base=page.url)
        conduit.set_scratchpad({"validator": page.validator, "lines": lines})

    def upload(  # noqa: PLR0917  # plugin API 1.x
        self,
        conduit: UploadConduit[SourceOptions],
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[GroupedUnit]:
        """Accept any file, under the path in the field `path`, else under its own name."""
        path = fields.get("path") or file.name
        if not safe_path(path):
            raise Refused(
                f"{path!r:.200} is not a path for a file",
                hint="a relative path such as `docs/guide.pdf`, without `.` and `..`",
            )
        return [
            (group_of(path), Unit(EXAMPLE_FILE, path, {}, [Artifact(path, file.sha256, file.size)]))
        ]

    @classmethod
    def explain(cls, subject: str) -> Iterable[str]:
        return [group_of(subject)]


def group_of(path: str) -> str:
    """Return one of 256 groups, so that a change costs one group and not the whole.

    It depends on the path alone, so that a file stays in its group.
    """
    return f"{sha256(path.encode()).digest()[0]:02x}"


def _groups(conduit: SyncConduit[SourceOptions, FilterOptions], listed: Iterable[Listed]) -> Groups:
    """Return the files of a manifest by group and name; the first of a name counts."""
    groups: dict[str, dict[str, Listed]] = {}
    for file in listed:
        if not safe_path(file.name):
            shown = sanitize(file.name, 200)
            conduit.refuse(group_of(shown), shown, _NO_PATH)
            continue
        group = group_of(file.name)
        if groups.setdefault(group, {}).setdefault(file.name, file) != file:
            conduit.refuse(group, file.name, "listed again, with other content; the first counts")
    return groups


def _compare(
    conduit: SyncConduit[SourceOptions, FilterOptions],
    group: str,
    files: Mapping[str, Listed],
    *,
    base: str,
) -> None:
    """Save files that are new or changed, remove those that are no longer listed.

    Units that are not mentioned stay.
    """
    held = {unit.key: unit for unit in conduit.units(group)}
    for name, file in files.items():
        before = held.pop(name, None)
        if before is None or (before.artifacts[0].sha256, before.artifacts[0].size) != (
            file.sha256,
            file.size,
        ):
            bytes_of = Artifact(name, file.sha256, file.size, urljoin(base, ".") + quote(name))
            conduit.save_unit(group, conduit.init_unit(EXAMPLE_FILE, name, {}, [bytes_of]))
    for unit in held.values():
        conduit.remove_unit(unit)


def _digest(files: Mapping[str, Listed]) -> str:
    return sha256(repr(sorted(files.values())).encode()).hexdigest()
