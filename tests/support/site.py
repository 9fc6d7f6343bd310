"""A small publication for tests of the real server: built anew in each of its processes."""

from __future__ import annotations

from pathlib import Path

from reconciler.serve import Application, Catalogue
from tests.support.published import Published

JSON = "application/vnd.pypi.simple.v1+json"
HTML_PAGE = b"<!DOCTYPE html><title>alpha</title>" * 20
JSON_PAGE = b'{"name": "alpha"}' * 20
SMALL = bytes(range(256)) * 80
LARGE = bytes(range(251)) * 12_000


def application(folder: Path) -> Application:
    """`/team/` with one project page in two types, a small file and a large one, kept in `folder`."""
    published = Published(folder=folder)
    served = published.mount("team")
    published.page(served, "simple/alpha/", HTML_PAGE)
    published.page(served, "simple/alpha/", JSON_PAGE, JSON)
    published.file(served, "files/small.whl", SMALL)
    published.file(served, "files/large.whl", LARGE)
    return Application(Catalogue(published, published))


def broken(folder: Path) -> Application:
    """A publication whose database cannot be read."""
    published = Published(folder=folder, broken=True)
    return Application(Catalogue(published, published))
