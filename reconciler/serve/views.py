"""Views: requests that the publisher of a publication answers when they come.

Plugin code, called with a time limit. Answers to clients that see all are kept until the
publication moves.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from reconciler.errors import StateFault
from reconciler.model import Digest, Grant
from reconciler.redaction import exception_summary
from reconciler.serve.bounded_cache import BoundedCache
from reconciler.serve.catalogue import Catalogue, Mount, PublishedPath
from reconciler.serve.conditional_requests import ConditionResult
from reconciler.serve.content_request import ContentRequest
from reconciler.serve.negotiation import accepts_gzip
from reconciler.serve.ports import MatchedView, UploadAnswer, ViewPublisher
from reconciler.serve.public_addresses import PublicAddress
from reconciler.serve.published_view import PublishedView
from reconciler.serve.representation import (
    COMPRESSED,
    NOSNIFF,
    PRIVATE,
    REVALIDATE,
    Representation,
    start,
)
from reconciler.serve.responses import PRECONDITION_FAILED, Send, send_text, send_whole
from reconciler.threads import Bulkhead, BulkheadClosed, BulkheadFull

TIMEOUT = 20.0  # seconds of a call: a list of half a million takes some
CONCURRENCY = 4  # calls of one publisher's code, and again as many that were abandoned
KEPT_BYTES = 64 * 1024 * 1024
LEAST_COMPRESSED = 1_024  # bytes of a body that is worth compressing
LEVEL = 6
MOST_FIELDS = 32  # of a query

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An answer to be sent. packed: its body with gzip, where that is worth its while."""

    mount: Mount
    answer: UploadAnswer
    etag: str
    packed: bytes | None

    @property
    def weight(self) -> int:
        """Bytes in memory."""
        return len(self.answer.body) + len(self.packed or b"")


class Views:
    """Answers of publishers. Belongs to one event loop, which it never blocks.

    publishers: by publisher ID; looked up in a worker thread, once for each.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        publishers: Mapping[str, ViewPublisher],
        timeout: float = TIMEOUT,
    ) -> None:
        self._catalogue = catalogue
        self._publishers = publishers
        self._timeout = timeout
        self._loaded: dict[str, ViewPublisher | None] = {}
        self._bulkhead = Bulkhead(concurrency=CONCURRENCY, max_abandoned=CONCURRENCY, name="views")
        self._kept: BoundedCache[tuple[Mount, str, str], Prepared] = BoundedCache(
            KEPT_BYTES, lambda prepared: prepared.weight
        )

    async def find(
        self, location: PublishedPath, representation: Representation | None
    ) -> MatchedView | None:
        """Return the view that answers instead of a representation that the client would get.

        representation: None where the client sees nothing at the path. What is there and not
        visible has no view either.
        """
        resource = location.resource
        if location.path is None or (representation is None and resource is not None):
            return None
        id = location.mount.served.publisher
        publisher = self._loaded[id] if id in self._loaded else await self._publisher(id)
        if publisher is None:
            return None
        if representation is None:
            return publisher.find(location.path)
        lingers = resource is not None and resource.lingers
        return None if lingers else publisher.find(location.path, representation.entry.media_type)

    async def respond(
        self,
        request: ContentRequest,
        send: Send,
        location: PublishedPath,
        *,
        match: MatchedView,
        grant: Grant | None,
        address: PublicAddress,
    ) -> bool:
        """Respond; return False, nothing sent, where there is nothing.

        Raises StateFault for what is missing or damaged.
        """
        try:
            prepared = await self._prepared(request, location, match, grant=grant, address=address)
        except (TimeoutError, BulkheadFull, BulkheadClosed):
            logger.error("%s: its publisher does not answer in time", request.path)
            await send_text(request, send, 503, text=f"`{request.path}` cannot be answered now")
            return True
        if prepared is None:
            return False
        vary = b", ".join(filter(None, (b"Accept" if match.replaces else b"", address.vary)))
        await _send(request, send, prepared, vary=vary)
        return True

    async def _publisher(self, id: str) -> ViewPublisher | None:
        self._loaded[id] = await self._catalogue.in_thread(self._publishers.get, id)
        return self._loaded[id]

    async def _prepared(
        self,
        request: ContentRequest,
        location: PublishedPath,
        match: MatchedView,
        *,
        grant: Grant | None,
        address: PublicAddress,
    ) -> Prepared | None:
        mount, path = location.mount, location.path or ""
        key = mount, path, address.url
        keeps = not match.query and (grant is None or not grant.projects)
        if keeps and (kept := self._kept.get(key)) is not None:
            return kept
        view = PublishedView(self._catalogue, mount.served, grant, base_url=address.url)
        call = _Call(match, view, mount, path, _query(request) if match.query else {})
        async with (
            asyncio.timeout(self._timeout),
            self._bulkhead.slot(mount.served.publisher, seconds=self._timeout) as slot,
        ):
            prepared = await slot.call(call)
        if isinstance(prepared, Exception):
            raise prepared
        if keeps and prepared is not None and view.complete and self._catalogue.is_current(mount):
            self._kept.keep_only(lambda other: self._catalogue.is_current(other.mount))
            self._kept.put(key, prepared)
        return prepared


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a publisher's code, in a thread."""

    match: MatchedView
    view: PublishedView
    mount: Mount
    path: str
    query: Mapping[str, list[str]]

    def __call__(self) -> Prepared | StateFault | None:
        try:
            answer = self.match.answer(self.view, self.path, self.query)
            return None if answer is None else _prepare(self.mount, answer)
        except StateFault as fault:
            return fault
        except BaseException as error:  # foreign code: a TimeoutError of its own is not ours
            return StateFault(
                f"publisher `{self.mount.served.publisher}` failed: {exception_summary(error)}"
            )


def _prepare(mount: Mount, answer: UploadAnswer) -> Prepared:
    digest = Digest.of(f"{answer.status} {answer.media_type}\n".encode() + answer.body)
    packed = None
    if len(answer.body) >= LEAST_COMPRESSED and answer.media_type not in COMPRESSED:
        packed = gzip.compress(answer.body, LEVEL, mtime=0)
    return Prepared(mount, answer, digest.hex, packed)


async def _send(request: ContentRequest, send: Send, prepared: Prepared, *, vary: bytes) -> None:
    answer, private = prepared.answer, prepared.mount.served.private
    packed = prepared.packed
    accepted = accepts_gzip(request.accept_encoding.decode("latin-1"))
    data = packed if packed is not None and accepted else answer.body
    etag = f'"{prepared.etag}{"-gzip" if data is packed else ""}"'
    varies = (
        b"Accept-Encoding" if packed is not None else b"",
        b"Authorization" if private else b"",
        vary,
    )
    caching = [
        (b"etag", etag.encode()),
        PRIVATE[REVALIDATE] if private else REVALIDATE,
        (b"vary", b", ".join(filter(None, varies))),
    ]
    if request.conditions is not None and answer.status == 200:
        match request.conditions.evaluate(etag):
            case ConditionResult.NOT_MODIFIED:
                await send_whole(request, send, start(304, caching), data=b"")
                return
            case ConditionResult.FAILED:
                await send_text(request, send, 412, text=PRECONDITION_FAILED)
                return
            case ConditionResult.SEND:
                pass
    own = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    headers = [
        *caching,
        *own,
        (b"content-type", answer.media_type.encode()),
        (b"content-length", b"%d" % len(data)),
        NOSNIFF,
    ]
    if data is packed:
        headers.append((b"content-encoding", b"gzip"))
    await send_whole(request, send, start(answer.status, headers), data=data)


def _query(request: ContentRequest) -> Mapping[str, list[str]]:
    """Return the fields of a query; of one with too many, none."""
    try:
        return parse_qs(request.query.decode("latin-1"), max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}
