"""What publishers say about paths that a publication does not hold, as the server asks them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler.plugin import MissingConduit, Publisher, Redirect
from reconciler.serve_adapter import PublisherSuggestions


class Lower(Publisher):
    @classmethod
    def missing(cls, conduit: MissingConduit, path: str) -> Redirect | None:
        return Redirect(f"{conduit.publication}/{path.lower()}") if path != path.lower() else None


class FewPlugins:
    """What is asked of a registry."""

    def find(self, kind: str, id_: str) -> Any:
        assert kind == "publisher"
        return {
            "lower": SimpleNamespace(enabled=True, cls=Lower),
            "broken": SimpleNamespace(enabled=False, cls=None),
        }.get(id_)

    def ids(self, kind: str) -> list[str]:
        return ["broken", "lower"]


@pytest.fixture
def paths() -> PublisherSuggestions:
    return PublisherSuggestions(cast(Any, FewPlugins()))


def test_a_redirect_is_the_path_that_was_meant(paths: PublisherSuggestions) -> None:
    assert paths["lower"]("team", "ABC") == "team/abc"
    assert paths["lower"]("team", "abc") is None


@pytest.mark.parametrize("publisher", ["broken", "unknown", ""])
def test_there_is_no_suggestion_without_the_publisher(
    paths: PublisherSuggestions, publisher: str
) -> None:
    assert paths.get(publisher) is None


def test_publishers_that_do_not_care_redirect_nowhere() -> None:
    assert Publisher.missing(MissingConduit("team"), "a") is None
