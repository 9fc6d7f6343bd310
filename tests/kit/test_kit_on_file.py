"""The kit on the plugin `file`: a `PULP_MANIFEST`, and a list of URLs of which some say nothing but
where a file is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256

from reconciler.plugin.testing import Conformance, Subject, Upstream
from reconciler_file import file, importer, publisher

Files = Mapping[str, bytes]

FIRST: Files = {
    "disk.iso": b"disk",
    "docs/guide.txt": b"guide",
    "docs/more/index.txt": b"index",
    "notes, old.txt": b"notes",
}
CHANGED: list[Files] = [
    {**FIRST, "new.iso": b"new"},
    {**FIRST, "disk.iso": b"another disk"},
    {"disk.iso": FIRST["disk.iso"]},
]


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def manifest(files: Files) -> dict[str, bytes]:
    """A `PULP_MANIFEST` and what it lists."""
    lines = [f"{name},{digest(body)},{len(body)}" for name, body in files.items()]
    return {**files, "PULP_MANIFEST": "\n".join(lines).encode() + b"\n"}


def urls(files: Files) -> dict[str, bytes]:
    """A list of URLs. Those of documents tell no digest: each is measured when it is met, and again
    when it changes its name.
    """
    named = {name.replace(", ", "-"): body for name, body in files.items()}
    lines = [
        name if name.startswith("docs/") else f"{name} sha256={digest(body)} size={len(body)}"
        for name, body in named.items()
    ]
    return {**named, "files.txt": "\n".join(lines).encode() + b"\n"}


def becomes(pages: Mapping[str, bytes]) -> Callable[[Upstream], None]:
    def change(upstream: Upstream) -> None:
        for path in upstream.pages.keys() - pages.keys():
            upstream.remove(path)
        for path, body in pages.items():
            upstream.put(path, body)

    return change


class TestManifest(Conformance):
    def subject(self) -> Subject:
        return Subject(
            importer=importer,
            publisher=publisher,
            content_types=[file],
            upstream=Upstream(manifest(FIRST)),
            changes=[becomes(manifest(files)) for files in CHANGED],
            path="PULP_MANIFEST",
            rules={"deny": ["*.tmp"], "maxSize": "1MiB"},
            uploads={"sent.txt": b"sent", "other.txt": b"sent"},
            refused_uploads={"..": b"up"},
            refused=[{"format": "iso"}, {"include": ["*.iso"], "exclude": [1]}],
        )


class TestUrls(Conformance):
    def subject(self) -> Subject:
        return Subject(
            importer=importer,
            publisher=publisher,
            content_types=[file],
            upstream=Upstream(urls(FIRST)),
            changes=[becomes(urls(files)) for files in CHANGED],
            path="files.txt",
            source={"format": "urls"},
        )


class TestOnDemand(Conformance):
    def subject(self) -> Subject:
        return Subject(
            importer=importer,
            publisher=publisher,
            content_types=[file],
            upstream=Upstream(manifest(FIRST)),
            changes=[becomes(manifest(files)) for files in CHANGED],
            path="PULP_MANIFEST",
            remote={"policy": "on-demand"},
        )
