"""The publisher: packuments, tarballs, and the requests of npm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from reconciler.plugin import (
    GENERIC_UPLOAD,
    UPLOAD_PATH,
    Answer,
    Endpoint,
    GroupedUnit,
    Metadata,
    Options,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    ReceiveConduit,
    Received,
    ReceivedRequest,
    ReconcilerError,
    StoredUnit,
)
from reconciler_npm import documents
from reconciler_npm.packuments import PACKAGE
from reconciler_npm.requests import received

__all__ = ["NpmPublisher"]


class NpmPublisher(Publisher[Options]):
    """Publishes packages as a registry of npm does, with URLs of ours."""

    needs_base_url = True
    endpoints = (GENERIC_UPLOAD, Endpoint("PUT", "{path:path}"), Endpoint("DELETE", "{path:path}"))

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata(id="npm", display_name="npm packages", types=[PACKAGE], api=">=2.0,<3")

    @classmethod
    def needs_first_seen(cls, options: Options) -> Callable[[StoredUnit], bool]:
        return lambda unit: "published" not in unit.metadata

    def publish(self, conduit: PublishConduit[Options], config: PluginCallConfiguration) -> None:
        for name in conduit.changed_groups():
            units = conduit.units(name)
            with conduit.group(name) as output:
                if not units:
                    continue
                full = documents.full_packument(name, units, conduit.base_url)
                short = documents.short_packument(name, units, conduit.base_url)
                output.page(f"{name}/", full, documents.FULL)
                output.page(f"{name}/", short, documents.SHORT)
                tags = json.dumps(documents.dist_tags(units)).encode()
                output.page(f"-/package/{name}/dist-tags", tags, documents.FULL)
                for unit in units:
                    [file] = unit.artifacts
                    path = documents.tarball_path(name, unit.metadata["version"])
                    output.file(path, file, "application/octet-stream")
        with conduit.whole_repository() as output:
            output.page("-/ping", b"{}", documents.FULL)

    def receive(
        self, conduit: ReceiveConduit[Options], request: ReceivedRequest
    ) -> Received | Iterable[GroupedUnit]:
        if request.path == UPLOAD_PATH:
            return super().receive(conduit, request)
        return received(conduit, request)

    @classmethod
    def error_answer(
        cls, request: ReceivedRequest, status: int, error: ReconcilerError
    ) -> Answer | None:
        if request.path == UPLOAD_PATH:
            return None
        body = json.dumps({"error": error.message}).encode()
        return Answer(status, body, documents.FULL)
