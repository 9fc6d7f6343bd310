"""The served application: `serve` joined with `engine`, which do not know each other.

Built in each worker process of `reconciler serve`, and by the conformance kit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reconciler.audit import NO_AUDIT, AuditLog
from reconciler.engine import NO_PATIENCE, CallLimits, Home, LeasePatience
from reconciler.engine.browser import Browser
from reconciler.engine.service import Service
from reconciler.engine.uploads.decided_changes import UploadResult
from reconciler.engine.uploads.plugin_results import check_answer
from reconciler.errors import PluginFault, ReconcilerError
from reconciler.manifest import read_recorded
from reconciler.plugin import (
    Answer,
    Fetch,
    MissingConduit,
    ReceivedRequest,
    Redirect,
    UploadedFile,
    ViewRequest,
)
from reconciler.plugin.config import PluginSettings
from reconciler.plugin.registry import Registry
from reconciler.plugin.views import matched_view
from reconciler.serve import (
    Application,
    ArrivedRequest,
    AuditTrail,
    Catalogue,
    GroupOf,
    MatchedView,
    OnDemand,
    PulledContent,
    Reading,
    SuggestPath,
    TrustedProxies,
    UploadAnswer,
    UploadReceipt,
    Uploads,
    ViewContent,
    ViewPublisher,
)


def application(
    home: Home,
    plugins: PluginSettings,
    patience: LeasePatience = NO_PATIENCE,
    *,
    trusted_proxies: Sequence[str] = (),
    audit_log: Path | None = None,
) -> Application:
    """Build the ASGI application over a home.

    The plugins were validated before the workers started. `audit_log`: its file, if one is kept.
    """
    return assembled(
        home,
        Registry(settings=plugins),
        patience=patience,
        trusted_proxies=trusted_proxies,
        audit=AuditLog(audit_log),
    )


def assembled(
    home: Home,
    registry: Registry,
    *,
    limits: CallLimits | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    patience: LeasePatience = NO_PATIENCE,
    trusted_proxies: Sequence[str] = (),
    audit: AuditLog = NO_AUDIT,
) -> Application:
    """Build the ASGI application over a home, with these plugins.

    `limits`: of their calls. `clock`: by which the grace of dropped files ends, and fetched
    pages age. `patience`: of uploads, with runs that hold what they need.
    """
    service = Service(
        home, registry, read_recorded, pulled_by=clock, limits=limits, patience=patience
    )
    database, store, folder = home.database(), home.store(), home.arriving_folder
    trail = AuditTrail(audit, TrustedProxies(trusted_proxies))
    reader = database.reader()
    browser = Browser(home, reader, registry, desired=service.desired, clock=clock)
    return Application(
        Catalogue(
            reader,
            store,
            database.mark(),
            damaged=service.record_damage,
            clock=clock,
        ),
        PublisherSuggestions(registry),
        uploads=Uploads(ServiceReceiver(service), folder, audit=trail),
        reading=Reading(service, PublisherViews(registry), browser, ServicePulls(service)),
        audit=trail,
        on_demand=OnDemand(service, store, folder),
        on_close=service.close,
        trusted_proxies=trusted_proxies,
    )


class ServiceReceiver:
    """Passes uploads to the engine; converts requests and results between `serve` and `engine`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.authenticate = service.authenticate

    def endpoints(self, publication: str, path: str) -> dict[str, bool]:
        """Return the methods of a path, as `reconciler.serve.UploadReceiver` says."""
        matches = self._service.endpoints(publication, path)
        return {method: match.endpoint.form for method, match in sorted(matches.items())}

    async def receive(self, publication: str, request: ArrivedRequest) -> UploadReceipt:
        """Take a request, as `reconciler.serve.UploadReceiver` says."""
        received = await asyncio.to_thread(self._received, publication, request)
        result = await self._service.receive(publication, received, request.grant)
        return UploadReceipt(
            upload_message(result),
            result.version,
            shown=not result.delayed,
            answer=_upload_answer(result.answer),
            keys=result.names,
            removes=result.removes,
        )

    async def error_answer(
        self, publication: str, request: ArrivedRequest, status: int, *, error: ReconcilerError
    ) -> UploadAnswer | None:
        """Return the publisher's answer, as `reconciler.serve.UploadReceiver` says."""
        received = await asyncio.to_thread(self._received, publication, request)
        return _upload_answer(
            await self._service.error_answer(publication, received, status, error=error)
        )

    def _received(self, publication: str, request: ArrivedRequest) -> ReceivedRequest:
        match = self._service.endpoints(publication, request.path).get(request.method)
        return ReceivedRequest(
            method=request.method,
            path=request.path,
            parameters=match.parameters if match is not None else {},
            query=request.query,
            headers=request.headers,
            fields=request.fields,
            files=[
                UploadedFile(file.name, file.path, file.size, file.sha256, file.field)
                for file in request.files
            ],
            principal=request.grant.principal,
        )


def _upload_answer(answer: Answer | None) -> UploadAnswer | None:
    if answer is None:
        return None
    return UploadAnswer(answer.status, answer.body, answer.media_type, answer.headers)


class ServicePulls:
    """Passes paths that are not published to the engine, and what it says of them to `serve`."""

    def __init__(self, service: Service) -> None:
        self._pulls = service.pull_through
        self.pulls = self._pulls.pulls
        self.used = self._pulls.used

    async def group(self, publication: str, group: str) -> PulledContent | None:
        """Return what is served of a group, as `reconciler.serve.PullSource` says."""
        pulled = await self._pulls.group(publication, group)
        return None if pulled is None else PulledContent(*pulled)


class PublisherSuggestions(Mapping[str, SuggestPath]):
    """The `missing` hooks of publishers, by publisher ID.

    A publisher is loaded when a path of one of its publications is not found.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, publisher: str) -> SuggestPath:
        plugin = self._registry.find("publisher", publisher)
        if plugin is None or not plugin.enabled:
            raise KeyError(publisher)
        cls: Any = plugin.cls

        def suggest(publication: str, path: str) -> str | GroupOf | None:
            redirect: Any = cls.missing(MissingConduit(publication), path)
            if redirect is None:
                return None
            if isinstance(redirect, Fetch):
                return GroupOf(redirect.group) if cls.pulls_through else None
            if not isinstance(redirect, Redirect):
                raise PluginFault(
                    f"`missing` returns a Redirect, a Fetch or None, not {type(redirect).__name__}"
                )
            return redirect.path

        return suggest

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.ids("publisher"))

    def __len__(self) -> int:
        return len(self._registry.ids("publisher"))


class PublisherViews(Mapping[str, ViewPublisher]):
    """The views of publishers, by publisher ID. A publisher is loaded when it is asked for."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, publisher: str) -> ViewPublisher:
        plugin = self._registry.find("publisher", publisher)
        cls: Any = plugin.cls if plugin is not None and plugin.enabled else None
        if cls is None or not cls.views:
            raise KeyError(publisher)
        return ViewsOf(cls)

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.ids("publisher"))

    def __len__(self) -> int:
        return len(self._registry.ids("publisher"))


class ViewsOf:
    """The views of one publisher."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def find(self, path: str, replaces: str = "") -> MatchedView | None:
        """Return the view that is about a path, as `reconciler.serve.ViewPublisher` says."""
        views = self._cls.views
        match = matched_view((view for view in views if view.replaces == replaces), path)
        if match is None:
            return None
        parameters = match.parameters

        def answer(
            content: ViewContent, path: str, query: Mapping[str, Sequence[str]]
        ) -> UploadAnswer | None:
            result = self._cls.view(content, ViewRequest(path, parameters, query))
            if isinstance(result, Redirect):
                location = {"location": content.base_url + quote(result.path)}
                return UploadAnswer(307, b"", "text/plain", location)
            check_answer(result)
            return _upload_answer(result)

        return MatchedView(match.view.replaces, match.view.query, answer)


def upload_message(result: UploadResult) -> str:
    """Return the result of an upload as a message for people."""
    version, names = result.version, ", ".join(f"`{name}`" for name in result.names)
    message = (
        f"version {version} holds {names}"
        if names
        else f"nothing new: version {version} holds it already"
    )
    return "\n".join((message, *result.delayed))
