"""Versions of the plugin API, each promise as one test: what the feature table calls V1 and V2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from reconciler.plugin import API_VERSION
from tests.support.clients import served
from tests.support.mirror import resource
from tests.support.outside import Desk, Installed, fetched, importable

OURS = Version(API_VERSION)
NEXT, BEFORE = OURS.major + 1, f"{OURS.major - 1}.9"
HOLDS = {
    "equal": f"=={OURS}",
    "equal-prefix": f"=={OURS.major}.*",
    "other": f"!={NEXT}",
    "other-prefix": f"!={NEXT}.*",
    "least": f">={OURS}",
    "most": f"<={OURS}",
    "above": f">{BEFORE}",
    "below": f"<{NEXT}",
    "compatible": f"~={OURS.major}.{OURS.minor}",
    "identical": f"==={OURS}",
    "several": f">={OURS.major},<{NEXT},!={BEFORE}",
    "any": "",
}
EXCLUDES = {
    "equal": f"=={BEFORE}",
    "equal-prefix": f"=={NEXT}.*",
    "other": f"!={OURS}",
    "other-prefix": f"!={OURS.major}.*",
    "least": f">={NEXT}",
    "most": f"<={BEFORE}",
    "above": f">{OURS}",
    "below": f"<{OURS}",
    "compatible": f"~={NEXT}.0",
    "identical": f"==={BEFORE}",
    "several": f">={BEFORE},<{NEXT},!={OURS}",
}
SENSELESS = {"reversed": f"=>{OURS.major}", "word": "newest"}
PLUGIN = """from reconciler.plugin import ContentType, Importer, Metadata


class Thing(ContentType):
    id = "ranges.thing"


def made(id, api):
    class Ranged(Importer):
        @classmethod
        def metadata(cls):
            return Metadata(id, id, ["ranges.thing"], api)

    return lambda: (Ranged, {})


def thing():
    return Thing, {}


"""


def ranges(installed: Installed) -> Path:
    """A distribution with an importer for each range."""
    wanted = {
        f"{way}-{name}": api
        for way, named in (("in", HOLDS), ("out", EXCLUDES), ("no", SENSELESS))
        for name, api in named.items()
    }
    functions = {id: id.replace("-", "_") for id in wanted}
    text = (
        PLUGIN
        + "\n".join(f"{functions[id]} = made({id!r}, {api!r})" for id, api in wanted.items())
        + "\n"
    )
    return installed.module(
        "reconciler-ranges",
        text,
        {"importers": functions, "content_types": {"ranges.thing": "thing"}},
    )


def listed(desk: Desk, beginning: str) -> dict[str, dict[str, Any]]:
    """The importers whose IDs begin so, by the rest of the ID."""
    found = {
        one["id"]: one
        for one in desk.ask("plugins", "-o", "json").document
        if one["kind"] == "importer"
    }
    return {
        id.removeprefix(beginning): one for id, one in found.items() if id.startswith(beginning)
    }


def test_v1_a_plugin_declares_the_api_versions_that_it_supports_with_every_comparator(
    desk: Desk, installed: Installed
) -> None:
    with importable(ranges(installed)):
        held, excluded, senseless = listed(desk, "in-"), listed(desk, "out-"), listed(desk, "no-")
    every = {"==", "!=", "<=", ">=", "<", ">", "~=", "==="}
    for plugins in (held, excluded):
        assert {
            comparator.operator
            for plugin in plugins.values()
            for comparator in SpecifierSet(plugin["api"])
        } == every
    assert {name: (one["api"], one["state"], one["reason"]) for name, one in held.items()} == {
        name: (api, "enabled", "") for name, api in HOLDS.items()
    }
    assert {name: (one["state"], one["reason"]) for name, one in excluded.items()} == {
        name: ("disabled", f"it supports plugin API {api}, this is {OURS}")
        for name, api in EXCLUDES.items()
    }
    assert {name: (one["state"], one["reason"]) for name, one in senseless.items()} == {
        name: (
            "disabled",
            f"its metadata is malformed: `{api}` is not a PEP 440 range of API versions",
        )
        for name, api in SENSELESS.items()
    }


GOOD = (
    resource("Remote", "up", "type: notes\nurl: https://notes.example.org/"),
    resource(
        "Repository", "team", "type: notes\nsources: [{remote: {name: up, groups: {a: [one]}}}]"
    ),
    resource("Publication", "team", "repository: team\npath: team"),
)
BAD = resource("Repository", "late", "type: out-least\nsources: []")


def test_v2_an_incompatible_plugin_is_disabled_with_the_reason_and_the_rest_works(
    desk: Desk, installed: Installed
) -> None:
    with importable(ranges(installed)):
        desk.applied(*GOOD)
        desk.declare(*GOOD, BAD)
        line = (
            desk.folder.joinpath("site.yaml")
            .read_text(encoding="utf-8")
            .splitlines()
            .index("  type: out-least")
            + 1
        )
        for command in ("validate", "plan", "apply"):
            refused = desk.ask(command, "site.yaml")
            assert refused.code == 1
            assert f"site.yaml:{line}:" in refused.out + refused.err, command
            assert (
                f"it supports plugin API {EXCLUDES['least']}, this is {OURS}"
                in refused.out + refused.err
            ), command
            assert "`out-least`" in refused.out + refused.err
        assert desk.recorded("repository") == ["team"], "nothing of what was refused is there"
        desk.applied(GOOD[0], GOOD[1].replace("[one]", "[one, two]"), GOOD[2])
        assert desk.get("repository", "team")["status"]["latestVersion"]["number"] == 2
        with served(desk.home, PYTHONPATH=f"{installed.notes()}:{ranges(installed)}") as url:
            assert fetched(f"{url}team/a/") == b"one two"
