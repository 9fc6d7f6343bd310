"""The kit on the plugin `deb`: an unsigned archive, by hash and without."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from reconciler.plugin.testing import Conformance, Subject, Upstream
from reconciler_deb import importer, package, publisher, source
from tests.support.apt import archive, control, deb

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
            fields={"suite": "stable", "component": "main"},
            rules={"deny": ["game*"], "maxSize": "1MiB"},
            refused=[
                {"include": ["nginx (~> 1)"], "suites": ["stable"]},
                {"suites": ["../stable"], "everything": True},
            ],
        )

    def test_a_failing_group_does_not_affect_others(self, tmp_path: Path) -> None:
        pytest.skip("a Release and each of its indexes list all groups")
