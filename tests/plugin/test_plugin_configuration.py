"""Configuration of a call: three levels, presence wins, results are copies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.plugin import PluginCallConfiguration

levels = st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.integers()))


@given(levels, levels, levels)
def test_the_first_level_that_sets_a_key_decides(
    override: dict[str, int | None],
    repository: dict[str, int | None],
    plugin: dict[str, int | None],
) -> None:
    config = PluginCallConfiguration(override, repository, plugin)
    for key in "abc":
        expected = next(
            (level[key] for level in (override, repository, plugin) if key in level), "default"
        )
        assert config.get(key, "default") == expected
    assert (config.override, config.repository, config.plugin) == (override, repository, plugin)


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}])
def test_a_key_that_is_set_to_nothing_hides_the_levels_below(value: Any) -> None:
    assert PluginCallConfiguration({"a": value}, {"a": 1}, {"a": 2}).get("a", "default") == value
    assert PluginCallConfiguration({}, {"a": value}, {"a": 2}).get("a", "default") == value
    assert PluginCallConfiguration({}, {}, {"a": value}).get("a", "default") == value


def test_a_key_that_nobody_sets_is_the_default() -> None:
    assert PluginCallConfiguration({}, {}, {}).get("a") is None
    assert PluginCallConfiguration({}, {}, {}).get("a", 3) == 3


def test_a_configuration_keeps_nothing_of_what_it_was_made_from() -> None:
    level: dict[str, Any] = {"a": 1, "b": {"c": [1]}}
    config = PluginCallConfiguration({}, level, {})
    level["a"] = 2
    level["b"]["c"].append(2)
    assert config.get("a") == 1
    assert config.get("b") == {"c": [1]}


def test_what_it_hands_out_cannot_be_used_to_change_it() -> None:
    level = {"a": {"b": [{"c": 1}]}, "t": ([1],), "s": {1}}
    config = PluginCallConfiguration({}, level, {})
    config.get("a")["b"][0]["c"] = 2
    config.get("a")["b"].append(3)
    config.get("t")[0].append(2)
    config.get("s").add(2)
    config.repository["a"]["b"].clear()
    assert config.repository == {"a": {"b": [{"c": 1}]}, "t": ([1],), "s": {1}}
    assert config.get("a") == {"b": [{"c": 1}]}


@pytest.mark.parametrize("name", ["override", "repository", "plugin"])
def test_a_level_is_neither_replaced_nor_written_to(name: str) -> None:
    config: Any = PluginCallConfiguration({"a": 1}, {"a": 1}, {"a": 1})
    with pytest.raises(AttributeError):
        setattr(config, name, {})
    with pytest.raises(TypeError, match="does not support item assignment"):
        getattr(config, name)["a"] = 2
    with pytest.raises(AttributeError):
        config.extra = 1
