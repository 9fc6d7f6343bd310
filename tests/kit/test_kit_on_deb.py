"""The kit on the plugin `deb`: an unsigned archive, by hash and without."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from hashlib import sha256

from reconciler.plugin.testing import Conformance, Subject, Upstream
from reconciler_deb import importer, package, publisher, source
from tests.support.apt import archive, control, deb
from tests.support.clients import fetched

NGINX, LIBFOO, TOOL = (
    control("nginx", "1.22-1", Section="web"),
    control("libfoo1", "2:1.0+b1~x"),
    control("tool", "1.0", "all"),
)
FIRST = (NGINX, LIBFOO, TOOL)
CHANGED = (
    (*FIRST, control("nginx", "1.24-1", Section="web")),
    (control("nginx", "1.22-2"), TOOL),
)


def becomes(packages: Iterable[str], *, by_hash: bool = True) -> Callable[[Upstream], None]:
    def change(upstream: Upstream) -> None:
        pages = archive(packages, by_hash=by_hash)
        for path in upstream.pages.keys() - pages.keys():
            upstream.remove(path)
        for path, body in pages.items():
            upstream.put(path, body)

    return change


def client(url: str) -> None:
    """Read as apt does: the Release, an index of it, and a package of that."""
    release = fetched(f"{url}dists/stable/Release").decode()
    rows = [line.split() for line in release.partition("\nSHA256:\n")[2].splitlines()]
    listed = {path: digest for digest, _, path in rows}
    name = "main/binary-amd64/Packages.gz"
    packages = fetched(f"{url}dists/stable/{name}")
    assert sha256(packages).hexdigest() == listed[name]
    lines = gzip.decompress(packages).decode().partition("\n\n")[0].splitlines()
    fields = dict(line.split(": ", 1) for line in lines if not line.startswith(" "))
    assert sha256(fetched(url + fields["Filename"])).hexdigest() == fields["SHA256"]


class TestArchive(Conformance):
    def subject(self) -> Subject:
        return Subject(
            importer=importer,
            publisher=publisher,
            content_types=[package, source],
            upstream=Upstream(archive(FIRST)),
            changes=[becomes(packages) for packages in CHANGED],
            source={"suites": ["stable"], "trusted": True, "everything": True},
            publication={"compressions": ["gz"]},
            uploads={"sent.deb": deb(control("sent")), "other.deb": deb(control("sent", "2:1~x"))},
            refused_uploads={"half.deb": deb(control("sent"))[:-900], "text.deb": b"text"},
            client=client,
            fields={"suite": "stable", "component": "main"},
            rules={"deny": ["game*"], "maxSize": "1MiB"},
            refused=[
                {"include": ["nginx (~> 1)"], "suites": ["stable"]},
                {"suites": ["../stable"], "everything": True},
            ],
        )
