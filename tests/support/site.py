"""A small publication for tests of the real server: built anew in each of its processes."""

from __future__ import annotations

from pathlib import Path

from reconciler.serve import Application, Catalogue, OnDemand, Uploads
from tests.support.published import FakeArtifactSource, Published
from tests.support.uploading import FakeReceiver

JSON = "application/vnd.pypi.simple.v1+json"
HTML_PAGE = b"<!DOCTYPE html><title>alpha</title>" * 20
JSON_PAGE = b'{"name": "alpha"}' * 20
SMALL = bytes(range(256)) * 80
LARGE = bytes(range(251)) * 12_000


def application(folder: Path) -> Application:
    """Serve `/team/`: a project page in two types, a small file and a large one, from `folder`."""
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


def taking(folder: Path, silence: float = 60) -> Application:
    """`/team/` takes files, and moves them to `folder/kept`."""
    published = Published()
    published.mount("team")
    (folder / "kept").mkdir(exist_ok=True)
    receiver = FakeReceiver(published, folder=folder / "kept")
    uploads = Uploads(receiver, folder / "incoming", max_upload=300_000_000, silence=silence)
    return Application(Catalogue(published, published), uploads=uploads)


def impatient(folder: Path) -> Application:
    """`taking` that waits a moment only for more."""
    return taking(folder, silence=0.1)


def bringing(folder: Path) -> Application:
    """`/team/`: `files/large.whl` is fetched when it is asked for; `files/broken.whl` breaks off
    half-way, once `files/last.whl` is asked for.
    """
    published = Published(folder=folder)
    served = published.mount("team")
    files = {
        name: published.file(served, f"files/{name}.whl", LARGE + name.encode())
        for name in ("large", "broken", "last")
    }
    source = FakeArtifactSource(published, breaks={files["broken"]: files["last"]})
    for digest in files.values():
        source.lose(digest)
    return Application(
        Catalogue(published, published), on_demand=OnDemand(source, published, folder / "arriving")
    )
