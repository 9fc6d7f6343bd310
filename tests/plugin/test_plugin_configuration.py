"""One `get` over three levels; presence wins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.plugin import PluginCallConfiguration

levels = st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.integers()))


@given(levels, levels, levels)
def test_the_first_level_that_sets_a_key_decides(
    override: dict[str, int | None], repository: dict[str, int | None], plugin: dict[str, int | None]
) -> None:
    config = PluginCallConfiguration(override, repository, plugin)
    for key in "abc":
        expected = next((level[key] for level in (override, repository, plugin) if key in level), "default")
        assert config.get(key, "default") == expected


def test_a_configuration_keeps_nothing_of_what_it_was_made_from() -> None:
    level: dict[str, int | None] = {"a": 1}
    config = PluginCallConfiguration({}, level, {})
    level["a"] = 2
    assert config.get("a") == 1
    assert config.get("missing") is None
