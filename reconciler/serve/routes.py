"""The routes: every URL that this server answers."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.serve.catalogue import Catalogue
from reconciler.serve.people import PLACES, People
from reconciler.serve.request_bodies import DrainBody
from reconciler.serve.responses import text_response
from reconciler.serve.root_page import FrontPage
from reconciler.serve.uploads import UploadEndpoint, Uploads


def routes(catalogue: Catalogue, uploads: Uploads | None, people: People | None) -> list[Route]:
    """Return the table of routes; without `people`, what stands at `/` is a plain list.

    `GET` and `HEAD` of a path below a publication never come here: they are published content, and
    `Application` looks there first.
    """
    upload = [] if uploads is None else ["DELETE", "PATCH", "POST", "PUT"]
    for_people = (
        [Route("/", FrontPage(catalogue).get, methods=["GET"])]
        if people is None
        else [Route(path, people.respond, methods=["GET"]) for path in PLACES]
    )
    return [
        *for_people,
        Route("/{path:path}", UploadEndpoint(catalogue, uploads).respond, methods=["GET", *upload]),
    ]


def router(catalogue: Catalogue, uploads: Uploads | None, people: People | None) -> Starlette:
    """Return the ASGI application over the table."""
    application = Starlette(
        routes=routes(catalogue, uploads, people),
        middleware=[Middleware(DrainBody)],
        exception_handlers={404: _not_found, 405: _method_not_allowed},
    )
    application.router.redirect_slashes = False
    return application


async def _not_found(request: Request, error: Exception) -> Response:
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return text_response(request, 404, f"`{path}` is below no publication; `/` lists them")


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    methods = sorted((error.headers or {})["Allow"].split(", "))
    allowed = ", ".join(methods)
    text = f"`{request.method}` is not supported here; supported: {allowed}"
    return text_response(request, 405, text, headers={"allow": allowed})
