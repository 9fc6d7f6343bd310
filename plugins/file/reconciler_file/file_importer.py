"""The importer: reads a `PULP_MANIFEST`, a list of URLs, or a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from reconciler.plugin import (
    UNCHANGED,
    Group,
    GroupedUnit,
    Importer,
    Metadata,
    PluginCallConfiguration,
    ReadConduit,
    Refused,
    Unchanged,
    Unit,
    UploadConduit,
    UploadedFile,
)
from reconciler_file.content import FILE
from reconciler_file.folders import folder_groups
from reconciler_file.listing import as_units, group_of, line_groups
from reconciler_file.manifests import MANIFEST, ManifestLines
from reconciler_file.options import FilterOptions, Format, SourceOptions
from reconciler_file.upload_paths import place_upload
from reconciler_file.urls import UrlLines

_LISTS: Final = (".txt", ".list", ".urls")


class FileImporter(Importer[SourceOptions, FilterOptions]):
    """Imports trees of files.

    `declare` reads the page that lists everything (a folder has one page for each folder), sorts
    its lines into groups, and hands them to `read`.
    """

    folder_urls = False
    shared_groups = True  # they are buckets of paths: any source may bring a file

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("file", "Files", (FILE,), ">=2.0,<3")

    async def declare(
        self, conduit: ReadConduit[SourceOptions, FilterOptions]
    ) -> AsyncIterator[Group | Unchanged]:
        """Yield the groups that upstream lists.

        An unchanged list is not parsed again, provided that it pins the bytes of every file.
        """
        format = conduit.options.format or guess_format(conduit.url)
        if format == "folder":
            for group in await folder_groups(conduit):
                yield group
            return
        page = await conduit.get("")
        if format == "manifest" and conduit.unchanged(page.validator):
            yield UNCHANGED
            return
        grammar = ManifestLines(page.url) if format == "manifest" else UrlLines(page.url)
        groups = await asyncio.to_thread(
            line_groups, page, grammar
        )  # a million lines are seconds: others go on meanwhile
        if (
            format == "urls"
            and all(group.validator for group in groups)
            and conduit.unchanged(page.validator)
        ):
            yield UNCHANGED
            return
        for group in groups:
            yield group

    async def read(
        self, conduit: ReadConduit[SourceOptions, FilterOptions], group: Group
    ) -> Iterable[Unit]:
        """Return the files of one group; entries without a usable name are refused one by one."""
        return as_units(group.data, FILE, conduit.refuse)

    def upload(  # noqa: PLR0917  # plugin API 1.x
        self,
        conduit: UploadConduit[SourceOptions],
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[GroupedUnit]:
        """Accept any file, under the path of the field `path`, else under its own name.

        Raises Refused for what is no path.
        """
        return place_upload(file, fields)

    @classmethod
    def explain(cls, subject: str) -> Iterable[str]:
        return [group_of(subject)]


def guess_format(url: str) -> Format:
    """Return the format by the last segment of the URL's path. Raises Refused."""
    parts = urlsplit(url)
    last = parts.path.rpartition("/")[2]
    if last in (MANIFEST, "MANIFEST") or last.endswith(".manifest"):
        return "manifest"
    if last.endswith(_LISTS):
        return "urls"
    if not last or parts.scheme == "file":
        return "folder"
    raise Refused(
        f"`{last}` does not tell how upstream lists its files",
        hint="say it: `format: manifest`, `format: urls` or `format: folder`",
    )
