"""The importer: packages that a manifest names, and tarballs that clients send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from urllib.parse import quote

import msgspec

from reconciler.plugin import (
    UNCHANGED,
    Artifact,
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
from reconciler_npm.names import file_name, is_name, is_tag, is_version
from reconciler_npm.options import FilterOptions, SourceOptions
from reconciler_npm.packuments import PACKAGE, package_unit, packument_units
from reconciler_npm.ranges import parse_selector
from reconciler_npm.tarballs import decode, read_tarball

__all__ = ["NpmImporter"]


class NpmImporter(Importer[SourceOptions, FilterOptions]):
    """Reads a packument for each package; a registry has no list of them."""

    selection_required = ("include",)

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata(id="npm", display_name="npm packages", types=[PACKAGE], api=">=2.0,<3")

    async def declare(
        self, conduit: ReadConduit[SourceOptions, FilterOptions]
    ) -> AsyncIterator[Group | Unchanged]:
        if not conduit.options.include:
            raise Refused("an npm registry has no list of all packages", hint="name them: include")
        for name in conduit.options.selectors:
            yield Group(name)

    async def read(
        self, conduit: ReadConduit[SourceOptions, FilterOptions], group: Group
    ) -> Iterable[Unit] | Unchanged:
        page = await conduit.get(quote(group.name, safe="@"), accept="application/json")
        if conduit.unchanged(page.validator):
            return UNCHANGED
        packument = decode(page.body, page.url)
        return packument_units(group.name, packument, page.url, refuse=conduit.refuse)

    def upload(  # noqa: PLR0917
        self,
        conduit: UploadConduit[SourceOptions],
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[GroupedUnit]:
        tarball = read_tarball(file.path)
        name, version = tarball.manifest.get("name"), tarball.manifest.get("version")
        if not (isinstance(name, str) and is_name(name)):
            raise Refused("its `package.json` has no `name` that a package can have")
        if not (isinstance(version, str) and is_version(version)):
            raise Refused("its `package.json` has no `version` of semver")
        tag = fields.get("tag", "latest")
        if not is_tag(tag):
            raise Refused(f"{tag[:80]!r} cannot be a tag")
        artifact = Artifact(file_name(name, version), file.sha256, file.size)
        unit = package_unit(name, version, tarball.manifest, dist=tarball.dist, file=artifact)
        return [(name, msgspec.structs.replace(unit, metadata={**unit.metadata, "tags": [tag]}))]

    @classmethod
    def explain(cls, subject: str) -> Iterable[str]:
        try:
            return [parse_selector(subject).name]
        except ValueError:
            return [subject]
