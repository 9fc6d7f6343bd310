"""`plugins/README.md`: every snippet runs, and does what the text beside it says."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import typer

from reconciler.cli.main import tree
from reconciler.errors import ManifestFaults
from reconciler.manifest import read
from reconciler.model import DesiredState, identify
from reconciler.plugin import (
    UNCHANGED,
    ActiveFilter,
    Gone,
    Group,
    Malformed,
    MissingConduit,
    OptionFault,
    Page,
    PluginCallConfiguration,
    Redirect,
    StoredUnit,
    Unit,
)
from tests.support.clients import program, run
from tests.support.conduits import FakeConduit, FakePublishConduit, FakeSyncConduit, page, stored
from tests.support.databases import database
from tests.support.guide import (
    GUIDE,
    commands,
    in_language,
    registry,
    snippets,
    written_out,
)
from tests.support.indexed import IndexedSite
from tests.support.strictness import check_types

BASE = "https://schemas.example.org/"
MANIFESTS = "---\n".join(snippet.text for snippet in in_language("yaml"))
NOTHING = PluginCallConfiguration({}, {}, {})
RULES = "E,F,W,I,UP,B,SIM,C4,PIE,RUF,PT,RET,ASYNC"
NOW = datetime(2026, 1, 10, tzinfo=UTC)
INVOICE = {
    "name": "invoice.json",
    "url": "invoice.json",
    "published": "2026-01-05",
    "sha256": sha256(b"{}").hexdigest(),
    "size": 2,
}


def call(
    guide: Any, pages: Mapping[str, Any], committed: frozenset[str] = frozenset(), **options: Any
) -> Any:
    responses: dict[str, Page | Exception] = {
        path: page(json.dumps(value), "application/json", url=BASE + path)
        for path, value in pages.items()
    }
    return FakeConduit(
        responses,
        options=guide.SchemaSource.model_validate_json(json.dumps(options)),
        committed=committed,
        url=BASE,
    )


def declared(importer: Any, conduit: Any) -> list[Any]:
    async def groups() -> list[Any]:
        return [group async for group in importer.declare(conduit)]

    return asyncio.run(groups())


def test_there_are_snippets_of_every_language() -> None:
    assert {snippet.language for snippet in snippets()} == {"json", "python", "sh", "toml", "yaml"}


def test_every_snippet_of_the_plugin_runs(guide: Any) -> None:
    assert guide.importer()[0].metadata().id == guide.publisher()[0].metadata().id == "schemas"


def test_the_plugin_is_enabled_where_it_is_installed(guide: Any) -> None:
    assert {(snippet.kind, snippet.id, snippet.reason) for snippet in registry().all()} == {
        ("importer", "schemas", ""),
        ("publisher", "schemas", ""),
        ("content-type", "schemas.schema", ""),
    }


def test_the_code_is_linted(tmp_path: Path) -> None:
    rules = [
        "--no-cache",
        "--isolated",
        "--target-version",
        "py311",
        "--line-length",
        "130",
        "--select",
        RULES,
    ]
    run([program("ruff"), "check", *rules, *written_out(tmp_path)], tmp_path, folder=tmp_path)


def test_its_types_are_strict(tmp_path: Path) -> None:
    check_types(written_out(tmp_path), [tmp_path, tmp_path / "trial"], tmp_path)


def test_importing_reads_what_is_wanted(guide: Any) -> None:
    asked = call(
        guide, {"catalog.json": {"billing": "v1", "other": None, "../up": "v1"}}, include=["bill*"]
    )
    assert declared(guide.SchemaImporter(), asked) == [Group("billing", "v1", listed=True)]
    hostile = [
        {"name": "../up"},
        {"name": "b", "published": "soon"},
        {"name": "c", "published": "9999-12-31"},
        {"name": "d", "url": "file:///etc"},
    ]
    asked = call(
        guide, {"billing/list.json": [INVOICE, *({**INVOICE, **snippet} for snippet in hostile)]}
    )
    [unit] = asyncio.run(guide.SchemaImporter().read(asked, Group("billing", "v1")))
    assert (unit.key, unit.metadata["published"], unit.artifacts[0].url) == (
        "invoice.json",
        "2026-01-05T00:00:00+00:00",
        f"{BASE}billing/invoice.json",
    )
    assert identify(unit, "billing").unit == unit
    assert set(asked.refused) == {"'../up'", "'b'", "'c'", "'d'"}


def test_what_stands_within_a_file_is_read_by_its_digest(guide: Any) -> None:
    def titled(body: bytes, **entry: Any) -> Any:
        asked = call(
            guide, {"billing/list.json": [{**INVOICE, "sha256": sha256(body).hexdigest(), **entry}]}
        )
        asked.files = {f"{BASE}billing/invoice.json": body}
        [unit] = asyncio.run(guide.TitledImporter().read(asked, Group("billing")))
        return unit.metadata.get("title")

    assert titled(b'{"title": "An invoice"}') == "An invoice"
    assert titled(b'{"title": [1.5]}') == ""
    assert titled(b"{}", sha256="") is None
    for hostile in (b"[]", b"\xff", b"["):
        with pytest.raises(Malformed, match="not a schema"):
            titled(hostile)
    asked = call(guide, {"billing/list.json": []}, frozenset({"v1"}))
    assert asyncio.run(guide.TitledImporter().read(asked, Group("billing", "v1"))) is UNCHANGED


def test_importing_fails_rather_than_finding_nothing(guide: Any) -> None:
    with pytest.raises(Malformed):
        declared(guide.SchemaImporter(), call(guide, {"catalog.json": []}))
    with pytest.raises(Malformed):
        asyncio.run(
            guide.SchemaImporter().read(call(guide, {"billing/list.json": {}}), Group("billing"))
        )
    with pytest.raises(Gone):
        asyncio.run(guide.SchemaImporter().read(call(guide, {}), Group("billing")))


def test_what_is_committed_is_unchanged(guide: Any) -> None:
    asked = call(guide, {"billing/list.json": []}, committed=frozenset({"v1"}))
    assert asyncio.run(guide.SchemaImporter().read(asked, Group("billing"))) is UNCHANGED


@pytest.mark.parametrize(
    ("rules", "metadata", "reason", "again"),
    [
        ({}, {}, "", None),
        ({"deny": ("invoice.json",)}, {}, "denied (settled.deny)", None),
        (
            {"min_age": "7d"},
            {},
            "too young until 2026-01-12 (settled.minAge)",
            NOW + timedelta(days=2),
        ),
        ({}, {"draft": True}, "a draft, and `drafts` is off", None),
    ],
)
def test_selecting_says_why(
    guide: Any, rules: dict[str, Any], metadata: dict[str, Any], reason: str, again: datetime | None
) -> None:
    unit = Unit(
        "schemas.schema",
        "invoice.json",
        {"published": "2026-01-05T00:00:00+00:00", "draft": False, **metadata},
    )
    options = guide.SchemaRules.model_validate(
        {("minAge" if name == "min_age" else name): value for name, value in rules.items()}
    )
    [decided] = guide.Schema.select(
        "billing", [unit], guide.SchemaSource(), [ActiveFilter("settled", options, "m.yaml:9")], NOW
    )
    assert (decided.accepted, decided.reason, decided.reconsider_at) == (not reason, reason, again)


def test_one_page_is_taken_apart_once_and_read_by_group(guide: Any) -> None:
    listed = {**INVOICE, "url": "files/invoice.json"}
    asked = call(
        guide, {"all.json": {"billing": [listed], "other": [], "../up": []}}, include=["bill*"]
    )
    [group] = declared(guide.OnePageImporter(), asked)
    assert (group.name, group.listed) == ("billing", True)
    [unit] = asyncio.run(guide.OnePageImporter().read(asked, group))
    assert (unit.key, unit.artifacts[0].url) == ("invoice.json", f"{BASE}files/invoice.json")
    assert len(asked.asked) == 1
    [same] = declared(
        guide.OnePageImporter(),
        call(
            guide,
            {"all.json": {"new": [], "billing": [dict(reversed(listed.items()))]}},
            include=["bill*"],
        ),
    )
    assert same.validator == group.validator
    [other] = declared(
        guide.OnePageImporter(), call(guide, {"all.json": {"billing": [{**listed, "size": 3}]}})
    )
    assert other.validator != group.validator
    assert declared(
        guide.OnePageImporter(), call(guide, {"all.json": {}}, committed=frozenset({"v1"}))
    ) == [UNCHANGED]


def test_a_bad_part_of_a_page_is_its_groups_failure(guide: Any) -> None:
    asked = call(guide, {"all.json": {"billing": [INVOICE], "broken": [1]}})
    sound, broken = declared(guide.OnePageImporter(), asked)
    assert len(asyncio.run(guide.OnePageImporter().read(asked, sound))) == 1
    with pytest.raises(Malformed, match="`broken`: not a list of schemas"):
        asyncio.run(guide.OnePageImporter().read(asked, broken))
    with pytest.raises(Malformed, match="not a mapping of folders"):
        declared(guide.OnePageImporter(), call(guide, {"all.json": []}))


def test_the_low_level_importer_records_what_came_and_what_went(guide: Any) -> None:
    def held(*places: str) -> dict[str, list[StoredUnit]]:
        units: dict[str, list[StoredUnit]] = {}
        for folder, name in (place.split("/") for place in places):
            units.setdefault(folder, []).append(stored(Unit("schemas.schema", name, {}), folder))
        return units

    pages = {
        "all.json": page(
            json.dumps({"billing": [INVOICE, {**INVOICE, "name": "bad.json", "size": -1}]}),
            "application/json",
        )
    }
    options = guide.SchemaSource()
    members = held(
        "billing/invoice.json", "billing/gone.json", "billing/bad.json", "shipping/invoice.json"
    )
    conduit = FakeSyncConduit(pages, options=options, members=members)
    asyncio.run(guide.LowLevelImporter().sync(conduit, NOTHING))
    assert [(group, unit.key) for group, unit in conduit.saved] == [("billing", "invoice.json")]
    assert set(conduit.refused) == {("billing", "'bad.json'")}
    assert {name: [unit.key for unit in units] for name, units in conduit.after.items()} == {
        "billing": ["invoice.json"]
    }
    still = FakeSyncConduit(pages, options=options, members=members, committed=frozenset({"v1"}))
    asyncio.run(guide.LowLevelImporter().sync(still, NOTHING))
    assert (still.saved, still.removed) == ([], [])


def test_publishing_makes_an_upstream_of_the_same_units(guide: Any) -> None:
    asked = call(guide, {"billing/list.json": [INVOICE]})
    [unit] = asyncio.run(guide.SchemaImporter().read(asked, Group("billing")))
    conduit = FakePublishConduit(
        {"billing": [stored(unit, "billing")], "gone": []}, options=guide.SchemaPages(title="A & B")
    )
    guide.SchemaPublisher().publish(conduit, NOTHING)
    made = conduit.merged
    assert set(made.pages) == {
        ("billing/list.json", "application/json"),
        ("catalog.json", "application/json"),
        ("catalog/", "text/html"),
    }
    assert b"A &amp; B" in made.pages["catalog/", "text/html"]
    assert made.files == {"billing/invoice.json": (INVOICE["sha256"], "application/schema+json")}
    again = call(
        guide,
        {
            path: json.loads(body)
            for (path, kind), body in made.pages.items()
            if kind == "application/json"
        },
    )
    [group] = declared(guide.SchemaImporter(), again)
    [same] = asyncio.run(guide.SchemaImporter().read(again, group))
    assert identify(same, "billing").digest == identify(unit, "billing").digest


def test_a_feed_says_its_address_its_moment_and_keeps_older_ones(guide: Any) -> None:
    asked = call(guide, {"billing/list.json": [INVOICE]})
    [unit] = asyncio.run(guide.SchemaImporter().read(asked, Group("billing")))
    base = "https://schemas.example.net/feed/"
    conduit = FakePublishConduit({"billing": [stored(unit, "billing")]}, base_url=base)
    guide.FeedPublisher().publish(conduit, NOTHING)
    assert guide.FeedPublisher.needs_base_url
    whole = conduit.whole_output
    body = whole.pages["feed.json", "application/json"]
    digest = INVOICE["sha256"]
    assert json.loads(body) == {
        "updated": conduit.version.recorded_at.isoformat(),
        "urls": [f"{base}by-hash/{digest}/invoice.json"],
    }
    assert set(conduit.merged.files) == {f"by-hash/{digest}/invoice.json"}
    assert {path for path, _ in whole.pages} == {
        "",
        "feed.json",
        f"feeds/{sha256(body).hexdigest()}.json",
        "versions/1",
    }


def test_an_index_of_everything_is_kept_by_the_core(guide: Any, tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        site = IndexedSite(tmp_path, opened.writer())
        site.publisher = guide.IndexPublisher
        site.publish({"b": "1"})
        site.publish({"b": "1", "a": "1"})
        files = site.files()
    body = b'{"path": "a/a"}\n{"path": "b/b"}\n'
    assert files["schemas.ndjson"] == files[f"schemas/by-digest/{sha256(body).hexdigest()}"] == body
    listed = json.loads(files["digests.json"])
    assert listed["schemas.ndjson"] == {"sha256": sha256(body).hexdigest(), "size": len(body)}
    assert listed.keys() == {"schemas.ndjson", "schemas.ndjson.gz", "schemas.ndjson.zst"}


def test_another_spelling_is_redirected(guide: Any) -> None:
    assert guide.SchemaPublisher.missing(MissingConduit("schemas"), "Billing/A.json") == Redirect(
        "billing/a.json"
    )
    assert guide.SchemaPublisher.missing(MissingConduit("schemas"), "billing/a.json") is None


def test_a_configuration_is_refused_for_what_the_repository_holds(guide: Any) -> None:
    class Conduit:
        options = guide.SchemaSource(drafts=True)
        held = 1

        def counts(self) -> dict[str, int]:
            return {"schemas.schema": self.held}

    conduit = Conduit()
    with pytest.raises(OptionFault, match="cannot begin to take drafts"):
        guide.CarefulImporter().validate_config(None, NOTHING, conduit)
    conduit.held = 0
    guide.CarefulImporter().validate_config(None, NOTHING, conduit)


def test_a_note_saves_a_request(guide: Any, tmp_path: Path) -> None:
    asked = call(guide, {"index.json": {"billing": None}})
    assert declared(guide.NotingImporter(), asked) == [Group("billing")]
    assert asked.get_scratchpad() == "index.json"
    asked.asked.clear()
    assert declared(guide.NotingImporter(), asked) == [Group("billing")]
    assert [url for url, *_ in asked.asked] == ["index.json"]

    class Repository:
        name = "team"
        working_directory = tmp_path

    guide.NotingImporter().importer_added(Repository(), NOTHING)
    assert (tmp_path / "schemas").is_dir()


def test_manifests_are_valid(guide: Any, tmp_path: Path) -> None:
    state = manifest(MANIFESTS, tmp_path)
    assert state.repositories["schemas"].sources[0].options.include == ("billing*",)
    assert state.publications["schemas"].options.title == "Schemas of the team"
    assert [source.id for source in state.repositories["released"].sources] == [
        "upload",
        "repository:schemas",
    ]
    assert len(state.publications["released"].uploaders) == 1


def test_a_title_that_says_nothing_is_a_fault_of_the_manifest(guide: Any, tmp_path: Path) -> None:
    with pytest.raises(ManifestFaults, match="a title says something"):
        manifest(MANIFESTS.replace("Schemas of the team", '" "'), tmp_path)


def manifest(text: str, folder: Path) -> DesiredState:
    (folder / "schemas.yaml").write_text(text, encoding="utf-8")
    return read([folder / "schemas.yaml"], registry())


def test_settings_and_configuration_files_have_keys_that_the_plugin_knows(guide: Any) -> None:
    [settings] = [
        tomllib.loads(snippet.text)
        for snippet in in_language("toml")
        if snippet.text.startswith("# reconciler.toml")
    ]
    for given in [
        settings["plugins"]["schemas"],
        *(json.loads(snippet.text) for snippet in in_language("json")),
    ]:
        assert guide.SchemaSource.model_validate_json(json.dumps(given)).drafts


@pytest.mark.parametrize("line", commands())
def test_commands_are_there_with_their_options(line: str) -> None:
    known: Any = typer.main.get_command(tree())
    options = set()
    for word in shlex.split(line)[1:]:
        if word.startswith("-"):
            assert word in options
        elif hasattr(known, "commands"):
            assert word in known.commands
            known = known.commands[word]
            options = {option for parameter in known.params for option in parameter.opts}


def test_the_reference_is_a_command_away(tmp_path: Path) -> None:
    [line] = set(re.findall(r'`(python -c "[^`]+)`', GUIDE.read_text(encoding="utf-8")))
    assert "Help on class ContentType" in run([sys.executable, *shlex.split(line)[1:]], tmp_path)


def test_the_guides_plugin_passes_the_kit(tmp_path: Path) -> None:
    written_out(tmp_path)
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        str(tmp_path / "base"),
        "tests",
    ]
    run(words, tmp_path, folder=tmp_path, PYTHONPATH=str(tmp_path))
