"""Serve: publications over HTTP.

Comes in: the read side of the database (`Publications`: what is served, what is at a path, page
bodies) and of the store (`Files`); where there are such, a `Receiver` of files and a `Supply` of
those that are not in the store yet. Goes out: answers to `GET` and `HEAD` below `/<path of the
publication>/`, and a plain list at `/`; what a `POST` there sends. Must never know: Python packages
or any other format, SQL, manifests, how anything came to be published.

One request: `request` reads the scope; `catalogue` finds the publication and what is at the path
(in memory, or by a point look-up in a worker thread), `meaning` what a path was meant to be that
nothing is at; `representation` picks a media type and a coding by `negotiation`; `conditions` says
whether a 304 or a part is enough; `delivery` sends it; `on_demand` brings it first where it is
missing. A file that is sent: `uploads` asks who it is, `form` reads it from the `bodies`. `server`
runs it all in processes.
"""

from reconciler.serve.application import Application
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.on_demand import OnDemand
from reconciler.serve.ports import Files, Publications, Receipt, ReceivedFile, Receiver, Supply
from reconciler.serve.redirects import SuggestPath
from reconciler.serve.server import serve
from reconciler.serve.uploads import Uploads

__all__ = [
    "Application",
    "Catalogue",
    "Files",
    "OnDemand",
    "Publications",
    "Receipt",
    "ReceivedFile",
    "Receiver",
    "SuggestPath",
    "Supply",
    "Uploads",
    "serve",
]
