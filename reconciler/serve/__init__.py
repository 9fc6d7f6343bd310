"""Serve: publications over HTTP.

Comes in: the read side of the database (`Publications`: what is served, what is at a path, page
bodies) and of the store (`Files`); optionally an `UploadReceiver`, and an `ArtifactSource` of files
that are not in the store yet. Goes out: responses to requests below `/<path of the publication>/`,
and everything in the table of `routes`. Must never know: Python packages or any other format, SQL,
manifests, how anything came to be published.

Published content is the hot path, a bare ASGI callable: `content_request` reads the scope;
`catalogue` finds the publication and what is at the path (in memory, or by a look-up in a worker
thread); `representation` picks a media type and a coding by `negotiation`; `conditional_requests`
says whether a 304 or a part is enough; `public_addresses` says under which address a client sees
what it asked for, for pages that say it; `pull_through` asks elsewhere for what is not published;
`client_addresses` says from where a client asks, for `audit_events`; `delivery` sends it;
`on_demand` fetches what the store does not have; `redirects` suggests another path where
there is nothing; `folder_lists` shows what a folder without a page holds; `views` has
publishers answer what they did not render, from the `published_view` of one client.

Everything else is Starlette: `routes` is the table, `people` the pages for people at `/` and `/-/`
(written by `pages`; `root_page` is a plain list without them), `uploads` what
a `POST` does (its form is read by `upload_form` from `request_bodies`). `server` runs it all in
processes.
"""

from reconciler.serve.application import Application
from reconciler.serve.audit_events import AuditTrail
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.client_addresses import TrustedProxies
from reconciler.serve.on_demand import OnDemand
from reconciler.serve.ports import (
    ArrivedRequest,
    ArtifactSource,
    Files,
    MatchedView,
    Publications,
    PulledContent,
    PullSource,
    ReceivedFile,
    UploadAnswer,
    UploadReceipt,
    UploadReceiver,
    ViewContent,
    ViewPublisher,
)
from reconciler.serve.reading import Reading
from reconciler.serve.redirects import GroupOf, SuggestPath
from reconciler.serve.server import serve
from reconciler.serve.tls_files import TlsFiles
from reconciler.serve.uploads import Uploads

__all__ = [
    "Application",
    "ArrivedRequest",
    "ArtifactSource",
    "AuditTrail",
    "Catalogue",
    "Files",
    "GroupOf",
    "MatchedView",
    "OnDemand",
    "Publications",
    "PullSource",
    "PulledContent",
    "Reading",
    "ReceivedFile",
    "SuggestPath",
    "TlsFiles",
    "TrustedProxies",
    "UploadAnswer",
    "UploadReceipt",
    "UploadReceiver",
    "Uploads",
    "ViewContent",
    "ViewPublisher",
    "serve",
]
