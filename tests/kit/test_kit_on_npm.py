"""The kit on the plugin `npm`: a registry of two packages, one of them in a scope."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha512
from typing import Any

from reconciler.plugin.testing import Conformance, Subject, Upstream
from reconciler_npm import importer, package, publisher
from tests.support.clients import fetched
from tests.support.npm import packument, registry, tarball, version

ONE, TWO, SCOPED = (
    version("left-pad", "1.2.0"),
    version("left-pad", "1.3.0", dependencies={"@example/pad": "^1.0"}),
    version("@example/pad", "1.0.0", engines={"node": ">=4"}),
)
SCOPE = packument("@example/pad", SCOPED)


def becomes(*packuments: dict[str, Any]) -> Callable[[Upstream], None]:
    def change(upstream: Upstream) -> None:
        pages = registry(*packuments)
        for path in upstream.pages.keys() - pages.keys():
            upstream.remove(path)
        for path, body in pages.items():
            upstream.put(path, body)

    return change


def client(url: str) -> None:
    """Read as npm does: the packument, and the tarball where it says."""
    dist = json.loads(fetched(f"{url}left-pad"))["versions"]["1.2.0"]["dist"]
    assert dist["tarball"].startswith(url)
    digest = b64encode(sha512(fetched(dist["tarball"])).digest()).decode()
    assert dist["integrity"] == f"sha512-{digest}"


class TestRegistry(Conformance):
    def subject(self) -> Subject:
        other = tarball("left-pad", "2.0.0", description="the same name")
        return Subject(
            importer=importer,
            publisher=publisher,
            content_types=[package],
            upstream=Upstream(registry(packument("left-pad", ONE), SCOPE)),
            source={"include": ["left-pad@^1.2", "@example/pad"]},
            rules={"deny": ["left-pad@<1"], "deprecated": False},
            changes=[
                becomes(packument("left-pad", ONE, TWO), SCOPE),
                becomes(packument("left-pad", ONE, TWO, next="1.2.0")),
            ],
            refused=[{"include": ["@example/*"]}, {"include": ["left-pad@^^"]}],
            uploads={
                "left-pad-2.0.0.tgz": other,
                "pad-1.1.0.tgz": tarball("@example/pad", "1.1.0"),
            },
            refused_uploads={
                "half.tgz": other[: len(other) // 2],
                "nothing.tgz": b"",
                "name.tgz": tarball("../left-pad", "1.0.0"),
                "version.tgz": tarball("left-pad", "1.0"),
                "text.json": json.dumps(ONE).encode(),
            },
            client=client,
            fields={"tag": "next"},
        )
