"""Tests of what clients see."""

from __future__ import annotations

from pathlib import Path

from reconciler.plugin.testing.base_tests import BaseTests, skip


class ClientTests(BaseTests):
    """Tests with a client of the ecosystem."""

    def test_clients_can_use_the_publication(self, tmp_path: Path) -> None:
        """`Subject.client` gets on with the served publication, at first and after all changes."""
        if self.subject().client is None or self.subject().publisher is None:
            skip("no `Subject.client`, or no publisher")
        for step in self._steps(tmp_path):
            when = f"after change {step.number} of upstream" if step.number else "at first"
            assert not step.client_failure, (
                f"the client fails on the publication {when}: {step.client_failure}; what it was"
                " sent is what `publish` emitted: paths, media types, bodies"
            )
