"""Deliberate mistakes, one a row: each is caught with plugin, place and remedy.

By loading, by planning, by applying, or by the conformance kit, whichever comes first. Each row is
the sound plugin of `tests.support.quotes` with one thing wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from logging import getLogger
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from reconciler.plugin import (
    UNCHANGED,
    Artifact,
    Decision,
    Endpoint,
    Group,
    Importer,
    IndexFile,
    Metadata,
    Unit,
)
from reconciler.plugin.testing import Upstream
from tests.kit.test_kit_on_broken_plugins import kit, verdict
from tests.kit.test_kit_on_quotes import FIRST, pages
from tests.support.clients import fetched
from tests.support.mistakes import (
    ARTIFACT,
    DIGEST,
    EMPTY,
    NO_TEXT,
    REVEALED,
    TEXT,
    UNIT,
    Nameless,
    Row,
    Stranger,
    Textual,
    content_type,
    counted,
    dated,
    deciding,
    declaring,
    emitting,
    generator,
    importer,
    indexed,
    keys,
    late_output,
    loaded,
    metadata,
    mixed_promises,
    no_generator,
    noted,
    open_all,
    page,
    plain,
    plan,
    publisher,
    publishing,
    reading,
    revealing,
    run,
    same_path,
    signed,
    subject_of,
    swallowed,
    told_in_metadata,
    twice_group,
    unawaited,
    units,
    whole_twice,
)
from tests.support.quotes import QUOTE, QuoteImporter, QuotePublisher

LOADING = {
    "sync read": Row(importer(read=plain), "`read`", "write `async def read`"),
    "sync declare": Row(importer(declare=generator), "`declare`", "write `async def declare`"),
    "returning declare": Row(importer(declare=no_generator), "`declare`", "`yield` each group"),
    "sync sync": Row(importer(sync=plain), "`sync`", "write `async def sync`"),
    "sync copy": Row(importer(copy=plain), "`copy`", "write `async def copy`"),
    "core key": Row(importer(options=keys(version="")), "the key `version`", "call it otherwise"),
    "core key of a Filter": Row(
        importer(filter_options=keys(type="")), "the key `type`", "call it otherwise"
    ),
    "core key of a Publication": Row(
        publisher(options=keys(path="")), "the key `path`", "call it otherwise"
    ),
    "options that are no model": Row(importer(options=dict), "`options`", "derive"),
    "bad api range": Row(importer(metadata=metadata(api="2.x")), "2.x", "PEP 440"),
    "other api": Row(importer(metadata=metadata(api=">=3")), ">=3", "this is 2.0.0"),
    "no id": Row(importer(metadata=metadata(id="")), "`id`", "letters"),
    "types is a text": Row(importer(metadata=metadata(types=QUOTE)), "`types`", "sequence"),
    "undefined type": Row(
        importer(metadata=metadata(types=["quotes.none"])), "quotes.none", "uninstall"
    ),
    "metadata as dict": Row(
        importer(metadata=classmethod(lambda cls: {})), "metadata()", "return Metadata"
    ),
    "entry point no callable": Row({"importers": 7}, "entry point", "function"),
    "entry point returns one": Row({"importers": lambda: 7}, "entry point", "(class, dict)"),
    "wrong base class": Row(
        {"importers": lambda: (Stranger, {})}, "class", "reconciler.plugin.Importer"
    ),
    "publisher advertised as importer": Row(
        {"importers": lambda: (QuotePublisher, {})}, "class", "reconciler.plugin.Importer"
    ),
    "former name": Row(content_type(beside="x"), "beside", "`kept_with`"),
    "revision": Row(publisher(revision="2"), "`revision`", "whole number"),
    "endpoint path": Row(publisher(endpoints=(Endpoint("PUT", "../{x}"),)), "../{x}", "relative"),
    "endpoint method": Row(publisher(endpoints=(Endpoint("GET", "x"),)), "GET", "one of"),
    "endpoint tuple": Row(publisher(endpoints=(("PUT", "x"),)), "endpoint", "Endpoint("),
    "endpoints one": Row(publisher(endpoints=Endpoint("PUT", "x")), "endpoints", "tuple"),
    "selection_required": Row(
        importer(selection_required=("nothing",)), "selection_required", "must list keys of its"
    ),
    "async publish": Row(publisher(publish=no_generator), "`publish`", "def publish"),
    "async select": Row(content_type(select=classmethod(no_generator)), "`select`", "def select"),
    "select is no class method": Row(content_type(select=plain), "`select`", "classmethod"),
    "metadata is no class method": Row(
        importer(metadata=lambda self: Metadata("quotes", "Q", [QUOTE])), "metadata", "classmethod"
    ),
}


READING = {
    "declare is missing": Row(
        type(
            "Slip",
            (Importer,),
            {
                "metadata": metadata(),
                "options": QuoteImporter.options,
                "filter_options": QuoteImporter.filter_options,
            },
        ),
        "`declare`",
        "override",
    ),
    "float": Row(units(Unit(QUOTE, "q", {"w": 0.5}, [])), "`q`", "write a float as a text"),
    "relative url": Row(
        units(Unit(QUOTE, "q", {}, [Artifact("q", DIGEST, 1, "files/q")])), "`q`", "urljoin"
    ),
    "digest format": Row(
        units(Unit(QUOTE, "q", {}, [Artifact("q", "A" * 64, 1, "http://127.0.0.1/q")])),
        "`q`",
        "hexdigest",
    ),
    "digest with prefix": Row(
        units(Unit(QUOTE, "q", {}, [Artifact("q", f"sha256:{DIGEST}", 1, "http://127.0.0.1/q")])),
        "`q`",
        "hexdigest",
    ),
    "size as text": Row(
        units(Unit(QUOTE, "q", {}, [Artifact("q", DIGEST, TEXT, "http://127.0.0.1/q")])),
        "`q`",
        "whole number",
    ),
    "unsafe path": Row(
        units(Unit(QUOTE, "q", {}, [Artifact("../q", DIGEST, 1, "http://127.0.0.1/q")])),
        "`q`",
        "relative",
    ),
    "absolute path": Row(
        units(Unit(QUOTE, "q", {}, [Artifact("/q", DIGEST, 1, "http://127.0.0.1/q")])),
        "`q`",
        "relative",
    ),
    "same path twice": Row(
        units(Unit(QUOTE, "q", {}, [Artifact("q", DIGEST, 1, "http://127.0.0.1/q")] * 2)),
        "`q`",
        "path of its own",
    ),
    "duplicate key": Row(units(UNIT, UNIT), "`q`", "group and type"),
    "duplicate group": Row(declaring(Group("war"), Group("war")), "`war`", "once"),
    "group is a text": Row(declaring("war"), "`declare`", "Group("),
    "validator number": Row(declaring(Group("war", validator=NO_TEXT)), "`war`", "a text"),
    "unchanged unasked": Row(
        reading(lambda conduit, group: UNCHANGED), "`read`", "conduit.unchanged"
    ),
    "declare unchanged unasked": Row(declaring(UNCHANGED), "`declare`", "conduit.unchanged"),
    "read returns None": Row(reading(lambda conduit, group: None), "`read`", "list"),
    "read returns dicts": Row(units({"key": "q"}), "`read`", "Unit("),
    "read returns one unit": Row(reading(lambda conduit, group: UNIT), "`read`", "list"),
    "unknown type": Row(units(Unit("other.type", "q", {}, [])), "other.type", "`types`"),
    "artifacts is one": Row(units(Unit(QUOTE, "q", {}, ARTIFACT)), "`q`", "list"),
    "no digest, no url": Row(units(Unit(QUOTE, "q", {}, [Artifact("q")])), "`q`", "url="),
    "datetime in metadata": Row(
        units(Unit(QUOTE, "q", {"at": datetime.now()}, [])), "`q`", "texts, whole numbers"
    ),
    "key number": Row(units(Unit(QUOTE, NO_TEXT, {}, [])), "7", "printable"),
    "incomplete no reason": Row(
        reading(lambda conduit, group: conduit.incomplete("")), "`incomplete`", "say what"
    ),
    "refuse no reason": Row(
        reading(lambda conduit, group: conduit.refuse("q", "")), "`refuse`", "say why"
    ),
    "refuse no key": Row(
        reading(lambda conduit, group: conduit.refuse(None, "bad")), "`refuse`", "text"
    ),
    "get no await": Row(
        type("Slip", (QuoteImporter,), {"read": unawaited}), "mistakes.py:", "await"
    ),
    "mistake of code": Row(reading(lambda conduit, group: [EMPTY["a"]]), "mistakes.py:", ""),
    "decision without reason": Row(
        deciding(lambda group, units: [Decision(unit, accepted=False) for unit in units]),
        "`select`",
        "reason=",
    ),
    "decides not all": Row(deciding(lambda group, units: []), "`select`", "for every unit"),
    "select None": Row(deciding(lambda group, units: None), "`select`", "Decision("),
    "select bools": Row(
        deciding(lambda group, units: [True for unit in units]), "`select`", "Decision("
    ),
    "reconsider naive": Row(
        deciding(
            lambda group, units: [
                Decision(unit, False, "young", datetime(2030, 1, 1)) for unit in units
            ]
        ),
        "`select`",
        "UTC",
    ),
    "decides copies": Row(
        deciding(
            lambda group, units: [Decision(msgspec.structs.replace(unit), True) for unit in units]
        ),
        "`select`",
        "not a copy",
    ),
}


PUBLISHING = {
    "group not opened": Row(publishing(lambda conduit: None), "`peace`", "open"),
    "group opened twice": Row(publishing(twice_group), "`peace`", "once"),
    "whole opened twice": Row(publishing(whole_twice), "no group", "once"),
    "other group opened": Row(
        publishing(lambda conduit: conduit.group("none").__enter__()), "`none`", "changed_groups"
    ),
    "group name": Row(publishing(lambda conduit: conduit.group(7)), "group", "changed_groups"),
    "output after block": Row(publishing(late_output), "`Output`", "`with`"),
    "swallowed error": Row(publishing(swallowed), "`peace`", "fail the call"),
    "body as text": Row(page("a", "text"), "`a`", ".encode()"),
    "bad media type": Row(page("a", b"", "html"), "`a`", "text/html"),
    "unsafe page": Row(page("../a"), "../a", "relative"),
    "absolute page": Row(page("/a"), "/a", "relative"),
    "page path no text": Row(page(7), "path", "text"),
    "same path twice": Row(publishing(same_path), "`a`", "one body for each path"),
    "linger nonsense": Row(page("a", linger="soon"), "`linger`", "1d"),
    "linger number": Row(page("a", linger=7), "`linger`", "1d"),
    "foreign artifact": Row(
        emitting(lambda conduit, output: output.file("a", Artifact("a", DIGEST), "text/plain")),
        "`a`",
        "`artifacts`",
    ),
    "address unsaid": Row(
        emitting(lambda conduit, output: conduit.base_url), "address", "needs_base_url"
    ),
    "signer without identity": Row(signed(Nameless()), "`identity`", "fingerprint"),
    "no signer": Row(signed(None), "`a`", "signer"),
    "signature as text": Row(signed(Textual()), "`sign`", "return the signed text"),
    "index entry as text": Row(
        indexed(entry_of=classmethod(lambda cls, unit, index, options: "entry")),
        "`entry_of`",
        ".encode()",
    ),
    "index name": Row(
        indexed(indexes_of=classmethod(lambda cls, unit, options: [7])), "`indexes_of`", "printable"
    ),
    "indexes as one text": Row(
        indexed(indexes_of=classmethod(lambda cls, unit, options: "all")), "`indexes_of`", "list"
    ),
    "indexes None": Row(
        indexed(indexes_of=classmethod(lambda cls, unit, options: None)), "`indexes_of`", "list"
    ),
    "sort key": Row(
        indexed(sort_key=classmethod(lambda cls, unit, options: 7)), "`sort_key`", "a text"
    ),
    "index file": Row(
        indexed(index_file=classmethod(lambda cls, name, options: name)),
        "`index_file`",
        "IndexFile(",
    ),
    "index path": Row(
        indexed(index_file=classmethod(lambda cls, name, options: IndexFile("../a"))),
        "../a",
        "relative",
    ),
    "index linger": Row(
        indexed(index_file=classmethod(lambda cls, name, options: IndexFile("a", linger=TEXT))),
        "lingers",
        "timedelta",
    ),
    "indexes share a folder": Row(
        indexed(
            indexes_of=classmethod(lambda cls, unit, options: ["all", unit.group]),
            index_file=classmethod(
                lambda cls, name, options: IndexFile(name, by_digest=("by-hash/{sha256}",))
            ),
        ),
        "`by-hash/{sha256}`",
        "a folder of its own",
    ),
    "mixed promises": Row(publishing(mixed_promises), "`a`", "of all representations"),
    "index compression": Row(
        indexed(
            index_file=classmethod(lambda cls, name, options: IndexFile("a", compressions=(TEXT,)))
        ),
        "1d",
        "compressions:",
    ),
    "render_index text": Row(
        indexed(render_index=lambda self, conduit, name, entries: ["text"]),
        "`render_index`",
        ".encode()",
    ),
    "render_index one bytes": Row(
        indexed(render_index=lambda self, conduit, name, entries: b"text"), "`render_index`", "list"
    ),
    "scratchpad set": Row(
        publishing(lambda conduit: conduit.set_scratchpad({"a": {1}})),
        "`.a`",
        "texts, whole numbers",
    ),
    "scratchpad key": Row(
        publishing(lambda conduit: conduit.set_scratchpad({1: "a"})), "scratchpad", "text"
    ),
    "own exception": Row(publishing(lambda conduit: EMPTY["a"]), "mistakes.py:", ""),
}


class Judged(NamedTuple):
    """A row, the test of the kit that catches it, and more of its Subject."""

    row: Row
    test: str
    more: Mapping[str, Any] = {}


SECRET: Mapping[str, Any] = {"publication": {"key": REVEALED}}
JUDGING = {
    "secret in a page": Judged(
        Row(
            revealing(lambda key, output: output.page("a", key.encode(), "text/plain")),
            "in the page `a`",
            "and never the value",
        ),
        "secrets_are_not_revealed",
        SECRET,
    ),
    "secret in a path": Judged(
        Row(
            revealing(lambda key, output: output.page(f"a/{key}", b"", "text/plain")),
            "in the path of a file",
            "and never the value",
        ),
        "secrets_are_not_revealed",
        SECRET,
    ),
    "secret in the log": Judged(
        Row(
            revealing(lambda key, output: getLogger("quotes").debug("key %s", key)),
            "in a message of the log (`quotes`)",
            "and never the value",
        ),
        "secrets_are_not_revealed",
        SECRET,
    ),
    "secret in metadata": Judged(
        Row(told_in_metadata(), "in the metadata of units", "and never the value"),
        "secrets_are_not_revealed",
        {"source": {"key": REVEALED}},
    ),
    "indexes by chance": Judged(
        Row(indexed(indexes_of=classmethod(counted)), "`indexes_of`", "on its arguments alone"),
        "indexes_are_pure",
    ),
    "entries by the clock": Judged(
        Row(indexed(entry_of=classmethod(dated)), "`entry_of`", "on its arguments alone"),
        "indexes_are_pure",
    ),
    "entry changes its unit": Judged(
        Row(indexed(entry_of=classmethod(noted)), "`entry_of`", "leave it as it is"),
        "indexes_are_pure",
    ),
    "no file for clients": Judged(
        Row(publishing(open_all), "fails on the publication at first", "media types"),
        "clients_can_use_the_publication",
        {"client": lambda url: fetched(f"{url}war/")},
    ),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream(pages({"war": FIRST["war"][:1], "peace": FIRST["peace"]}))
    with upstream.served():
        yield upstream


def examine(row: Row, told: str, name: str = "quotes") -> None:
    """Plugin, place and remedy are told."""
    assert [word for word in (name, row.place, row.remedy) if word not in told] == [], told


@pytest.mark.parametrize("mistake", LOADING)
def test_a_mistake_is_caught_by_loading(mistake: str, upstream: Upstream, tmp_path: Path) -> None:
    examine(LOADING[mistake], loaded(LOADING[mistake]))


@pytest.mark.parametrize("mistake", READING)
def test_a_mistake_is_caught_by_planning(mistake: str, upstream: Upstream, tmp_path: Path) -> None:
    examine(READING[mistake], plan(subject_of(READING[mistake].part, upstream), tmp_path))


@pytest.mark.parametrize("mistake", PUBLISHING)
def test_a_mistake_is_caught_by_applying(mistake: str, upstream: Upstream, tmp_path: Path) -> None:
    examine(PUBLISHING[mistake], run(subject_of(PUBLISHING[mistake].part, upstream), tmp_path))


@pytest.mark.parametrize("mistake", JUDGING)
def test_a_mistake_is_caught_by_the_kit(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REVEALED["env"], "a-word-that-nobody-guesses")
    row, test, more = JUDGING[mistake]
    examine(row, verdict(kit(row.part, **more), f"test_{test}", tmp_path) or "", name="")


def test_a_secret_that_is_put_to_use_is_not_accused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REVEALED["env"], "a-word-that-nobody-guesses")
    part = revealing(
        lambda key, output: output.page("a", sha256(key.encode()).digest(), "text/plain")
    )
    kit(part, **SECRET).test_secrets_are_not_revealed(tmp_path)
