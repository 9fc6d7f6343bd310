"""Lays a version out as a simple index: pages below `simple/`, files below `files/`.

simple/                                         the list of projects
simple/<project>/                               one project, HTML and JSON
files/<project>/<sha256>/<filename>             a file, under its own sha256
files/<project>/<sha256>/<filename>.metadata    its core metadata (PEP 658), beside it
files/<project>/<sha256>/<filename>.provenance  its provenance object (PEP 740), beside it

What `json_api` says is not rendered: it is answered from these when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

from pydantic import Field

from reconciler.plugin import (
    GENERIC_UPLOAD,
    Answer,
    Fetch,
    GroupedUnit,
    Instruction,
    InstructionConduit,
    Metadata,
    MissingConduit,
    Options,
    Output,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    ReceiveConduit,
    Received,
    ReceivedRequest,
    ReconcilerError,
    Redirect,
    StoredUnit,
    ViewConduit,
    ViewRequest,
)
from reconciler_python.publishing.client_instructions import client_instructions
from reconciler_python.publishing.json_api import VIEWS, answered
from reconciler_python.publishing.rendering import (
    file_path,
    is_undated,
    list_pages,
    project_pages,
)
from reconciler_python.pushing.index_exporter import PythonExporter
from reconciler_python.reading.documents import HTML_TYPE, JSON_TYPE
from reconciler_python.reading.filenames import project_name
from reconciler_python.reading.units import DISTRIBUTION, PROJECT, artifact_of, is_variants_index
from reconciler_python.uploads.legacy_api import ENDPOINTS, error_answer, is_legacy, received

# PEP 691: `latest` may be asked for, and is answered with what it really is.
_LATEST_JSON: Final = "application/vnd.pypi.simple.latest+json"
_LATEST_HTML: Final = "application/vnd.pypi.simple.latest+html"
_BYTES: Final = "application/octet-stream"
_BESIDE: Final = {
    ".metadata": _BYTES,
    ".provenance": "application/vnd.pypi.integrity.v1+json",
}


class PublicationOptions(Options):
    """Keys of a publication of type `python`."""

    unknown_upload_time: Literal["omit", "firstSeen"] = Field(
        default="omit",
        description=(
            "What pages say of files whose upload time upstream does not state: nothing, or"
            " (`firstSeen`) when an apply first read of them. Installers that take only what was"
            " uploaded before some date refuse files without one."
        ),
    )


class PythonPublisher(Publisher[PublicationOptions]):
    """Publishes a simple index. The result depends on the version and the options alone."""

    revision = 2
    endpoints = (GENERIC_UPLOAD, *ENDPOINTS)
    views = VIEWS
    exporter = PythonExporter
    pulls_through = True

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("python", "Python simple index", (DISTRIBUTION, PROJECT), ">=2.0,<3")

    def publish(
        self, conduit: PublishConduit[PublicationOptions], config: PluginCallConfiguration
    ) -> None:
        base_url = conduit.base_url if conduit.has_base_url else ""
        for name in conduit.changed_groups():
            units = conduit.units(name)
            with conduit.group(name) as output:
                _publish_project(output, name, units, base_url=base_url)
        if not conduit.groups_changed:
            conduit.keep_whole_repository()
            return
        with conduit.whole_repository() as output:
            _publish_page(output, "simple/", list_pages(conduit.groups()))

    @classmethod
    def needs_first_seen(cls, options: PublicationOptions) -> Callable[[StoredUnit], bool] | None:
        """Return what tells files without an upload time, where pages show their first sights."""
        return is_undated if options.unknown_upload_time == "firstSeen" else None

    @classmethod
    def instructions(cls, conduit: InstructionConduit) -> Iterable[Instruction]:
        return client_instructions(conduit)

    @classmethod
    def view(cls, conduit: ViewConduit, request: ViewRequest) -> Answer | Redirect | None:
        return answered(conduit, request)

    def receive(
        self, conduit: ReceiveConduit[PublicationOptions], request: ReceivedRequest
    ) -> Received | Iterable[GroupedUnit]:
        if is_legacy(request):
            return received(conduit, request)
        return super().receive(conduit, request)

    @classmethod
    def error_answer(
        cls, request: ReceivedRequest, status: int, error: ReconcilerError
    ) -> Answer | None:
        return error_answer(request, status, error) if is_legacy(request) else None

    @classmethod
    def missing(cls, conduit: MissingConduit, path: str) -> Redirect | Fetch | None:
        """Name the project of a page or a file, in whatever spelling; lead the root to the list.

        Any spelling of a name leads to its page (PEP 503). So does the address that hatch prints of
        a release that it has published.
        """
        if not path.strip("/"):
            return Redirect("simple/")
        root, _, name = path.strip("/").partition("/")
        if root in ("files", "legacy"):
            name = name.partition("/")[0]
        project = project_name(name)
        if root not in ("simple", "files", "legacy") or not project:
            return None
        if project == name and root != "legacy":
            return Fetch(project)
        return Redirect(f"simple/{project}/") if root != "files" else None


def _publish_project(
    output: Output, name: str, units: Sequence[StoredUnit], *, base_url: str
) -> None:
    distributions = [unit for unit in units if unit.type == DISTRIBUTION]
    if not distributions:
        return
    project = next((unit for unit in units if unit.type == PROJECT), None)
    pages = project_pages(name, distributions, project, base_url=base_url)
    _publish_page(output, f"simple/{name}/", pages)
    for unit in distributions:
        _publish_files(output, unit)


def _publish_page(output: Output, path: str, pages: tuple[bytes, bytes]) -> None:
    """Publish a page as HTML and JSON.

    HTML is the default: browsers, and clients that send no preference, can read it.
    """
    html, json = pages
    output.page(path, html, "text/html")
    output.page(path, html, HTML_TYPE, aliases=(_LATEST_HTML,))
    output.page(path, json, JSON_TYPE, aliases=(_LATEST_JSON,))


def _publish_files(output: Output, unit: StoredUnit) -> None:
    file = artifact_of(unit, unit.key)
    assert file is not None, unit.key
    path = file_path(unit.group, file.sha256, unit.key)
    output.file(path, file, "application/json" if is_variants_index(unit) else _BYTES)
    for ending, media_type in _BESIDE.items():
        beside = artifact_of(unit, f"{unit.key}{ending}")
        if beside:
            output.file(f"{path}{ending}", beside, media_type)
