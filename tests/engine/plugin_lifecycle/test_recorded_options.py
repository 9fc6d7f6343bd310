"""Options that a recorded source had, for plugins that say goodbye to a repository."""

from __future__ import annotations

from reconciler.engine.plugin_lifecycle.plugin_uses import source_options
from reconciler.model import ActualResource, Kind, Ref

UP = Ref(Kind.REMOTE, "up")


def test_keys_of_the_remote_are_among_the_options_of_its_source() -> None:
    """Kind: a key that a Remote sets, and that some reader of sources does not see."""
    spec = {"type": "deb", "url": "https://up.example.org/", "keys": ["a.asc"], "trusted": True}
    resources = {UP: ActualResource(UP, {}, {}, spec)}
    source = {"remote": {"name": "up", "everything": True, "trusted": False}}
    assert source_options({"sources": [source]}, resources) == {
        "keys": ["a.asc"],
        "trusted": False,
    }
    assert source_options({"sources": [source]}, {}) == {"trusted": False}
    assert source_options({"sources": [{"upload": {"suites": ["a"]}}]}, resources) == {
        "suites": ["a"]
    }
    assert source_options({}, resources) == {}
