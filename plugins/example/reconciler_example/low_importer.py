"""Reads a `PULP_MANIFEST`, compares it with what the source holds, and records the difference."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from hashlib import sha256
from urllib.parse import quote, urljoin

from reconciler.plugin import (
    Artifact,
    Importer,
    Metadata,
    Placed,
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


class ExampleImporter(Importer):
    """`sync` is the whole of it: no group is declared, nothing is compared by the core."""

    options = SourceOptions
    filter_options = FilterOptions
    folder_urls = False
    shared_groups = True  # they are buckets of paths: any source may bring a file

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("example", "Files (low-level example)", (EXAMPLE_FILE,), ">=1.2,<2")

    async def sync(self, conduit: SyncConduit, config: PluginCallConfiguration) -> None:
        """Record what the manifest changes. The note: the validator of the manifest read last, and
        a digest of each group's lines.
        """
        note = conduit.get_scratchpad() or {}
        # Asked about the manifest of last time: are options and filters still those that it was
        # committed with?
        same_rules = "validator" in note and conduit.unchanged(note["validator"])
        page = await conduit.get("")
        if conduit.unchanged(page.validator):
            return
        listed = await asyncio.to_thread(
            list, read_manifest(page)
        )  # a long one takes seconds: others go on meanwhile
        groups = _groups(conduit, listed)
        lines = {name: _digest(files) for name, files in groups.items()}
        known = note["lines"] if same_rules else {}
        for name in sorted({*groups, *conduit.groups()}):
            if name not in known or known[name] != lines.get(name):
                _compare(conduit, name, groups.get(name, {}), page.url)
        conduit.set_scratchpad({"validator": page.validator, "lines": lines})

    def upload(
        self,
        conduit: UploadConduit,
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[Placed]:
        """Any file, under the path that the field `path` gives it, else under its own name."""
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
    """One of 256 groups, so that a change costs its group and not the whole; by the path alone, so
    that a file stays where it is.
    """
    return f"{sha256(path.encode()).digest()[0]:02x}"


def _groups(conduit: SyncConduit, listed: Iterable[Listed]) -> Groups:
    """The files of a manifest by group and name; of two with one name the first counts."""
    groups: dict[str, dict[str, Listed]] = {}
    for file in listed:
        if not safe_path(file.name):
            shown = sanitize(file.name, 200)
            conduit.refuse(
                group_of(shown),
                shown,
                "not a relative path that stays below its folder, of printable characters",
            )
            continue
        group = group_of(file.name)
        if groups.setdefault(group, {}).setdefault(file.name, file) != file:
            conduit.refuse(group, file.name, "listed again, with other content; the first counts")
    return groups


def _compare(conduit: SyncConduit, group: str, files: Mapping[str, Listed], base: str) -> None:
    """Save what the source does not hold as it is listed, remove what is no longer listed. What is
    not mentioned stays.
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
