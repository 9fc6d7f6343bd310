"""Serve: publications over HTTP.

Comes in: the read side of the database (`Publications`: what is served, what is at a path, page bodies) and of the
store (`Files`). Goes out: answers to `GET` and `HEAD` below `/<path of the publication>/`, and a plain list at `/`.
Must never know: Python packages or any other format, SQL, manifests, how anything came to be published.

One request: `request` reads the scope; `catalogue` finds the publication and what is at the path (in memory, or by a
point look-up in a worker thread); `representation` picks a media type and a coding by `negotiation`; `conditions`
says whether a 304 or a part is enough; `application` sends it. `server` runs it all in processes.
"""

from reconciler.serve.application import Application, Canonical
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.ports import Files, Publications
from reconciler.serve.server import serve

__all__ = ["Application", "Canonical", "Catalogue", "Files", "Publications", "serve"]
