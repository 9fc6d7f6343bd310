"""Tests of what clients see."""

from __future__ import annotations

from pathlib import Path

from reconciler.plugin.testing.base_tests import BaseTests, apply_or_skip, skip
from reconciler.plugin.testing.publication_server import served_publications
from reconciler.plugin.testing.sandbox import NAME, Sandbox


class ClientTests(BaseTests):
    """Tests with a client of the ecosystem."""

    def test_clients_can_use_the_publication(self, tmp_path: Path) -> None:
        """`Subject.client` gets on with the served publication.

        It is called for the first upstream, and again after all changes, which the same server
        shows.
        """
        if self.subject().client is None or self.subject().publisher is None:
            skip("no `Subject.client`, or no publisher")
        with self._sandbox(tmp_path) as sandbox:
            apply_or_skip(sandbox)
            with served_publications(sandbox.home, sandbox.registry) as url:
                _try(sandbox, url, "of the first upstream")
                for change in sandbox.subject.changes:
                    change(sandbox.subject.upstream)
                if sandbox.subject.changes:
                    apply_or_skip(sandbox)
                    _try(sandbox, url, "after all changes of upstream")


def _try(sandbox: Sandbox, url: str, when: str) -> None:
    path = str(sandbox.subject.publication.get("path", NAME)).strip("/")
    assert sandbox.subject.client is not None
    try:
        sandbox.subject.client(f"{url}{path}/" if path else url)
    except Exception as error:
        raise AssertionError(
            f"the client fails on the publication {when}: {type(error).__name__}: {error}; what it"
            " was sent is what `publish` emitted: paths, media types, bodies"
        ) from error
