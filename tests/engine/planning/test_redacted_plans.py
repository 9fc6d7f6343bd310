"""What plugins say of their units is shown without any secret, wherever in a plan it ends up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.engine.sources.selection import Selection
from reconciler.model import StoredUnit, identify, stored_unit
from reconciler.plan import (
    ChangeLine,
    DesiredGroup,
    GroupMember,
    RefusedUnit,
    difference,
    render_json,
    render_text,
)
from reconciler.plugin import (
    ActiveFilter,
    ContentType,
    Decision,
    Group,
    Options,
    ReadConduit,
    Summary,
    Unit,
)
from reconciler.redaction import register_secret
from tests.support.rehearsal import Rehearsal, rehearsal, repository

SECRET = "battery-staple-of-the-words"  # of this test
TYPE = "told.told"
GROUP = "group"


class Talkative(ContentType):
    """Has the secret in everything that it says."""

    id = TYPE
    plural = "texts"

    @classmethod
    def select(
        cls,
        group: str,
        units: Sequence[Unit],
        options: Options | None,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Iterable[Decision]:
        return [
            Decision(unit, accepted=unit.key != "out", reason=f"select {SECRET}") for unit in units
        ]

    @classmethod
    def summary(cls, unit: Unit | StoredUnit) -> Summary:
        return Summary(f"version {SECRET}", f"label {SECRET}")

    @classmethod
    def removal_reason(cls, unit: StoredUnit, options: Options | None, refused: str) -> str:
        return f"removal {SECRET}"

    @classmethod
    def describe_change(cls, before: StoredUnit, after: Unit) -> str:
        return f"change {SECRET}"

    @classmethod
    def refuse_replacement(
        cls, before: StoredUnit, after: Unit, options: Options | None
    ) -> str | None:
        return f"refusal {SECRET}" if after.key == "kept" else None


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("T_WORDS", SECRET)
    with rehearsal(tmp_path) as site:
        site.declare(
            site.remote(more="auth: {username: ada, password: {env: T_WORDS}}"), repository()
        )
        site.says("a", site.bare("x"))
        yield site


def lines() -> list[ChangeLine]:
    """One of each kind."""
    register_secret(SECRET)
    selection = Selection({TYPE: Talkative}, None, [], now=datetime(2026, 11, 22, tzinfo=UTC))
    held = [identify(Unit(TYPE, key, {"n": 1}), GROUP) for key in ("changed", "gone", "kept")]
    members = [GroupMember(unit.digest, stored_unit(unit.body), "remote:up") for unit in held]
    units = [Unit(TYPE, key, {"n": 2}) for key in ("changed", "kept", "new", "out")]
    selected = selection.selected(GROUP, selection.decide(GROUP, units), [])
    refusals: list[RefusedUnit] = selected.refusals
    return difference(
        "remote:up", members, DesiredGroup(selected.wanted, refusals), describer=selection
    )


def test_a_content_type_says_no_secret_of_any_change() -> None:
    found = {(line.op, line.key): line for line in lines()}
    said = {key: line.reason for key, line in found.items() if line.reason}
    assert said == {
        ("~", "changed"): "change ***",
        ("-", "gone"): "removal ***",
        ("!", "kept"): "refusal ***",
        ("!", "out"): "select ***",
    }
    assert {(line.version, line.label) for line in found.values()} == {("version ***", "label ***")}


def test_what_an_importer_refuses_is_shown_without_the_remotes_password(site: Rehearsal) -> None:
    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        conduit.refuse(f"key-{SECRET}", f"denied to {SECRET}")
        return [site.bare("x")]

    site.script.on_read = read
    plan = site.plan()
    shown = b"".join(render_json(plan, verbose=True)).decode() + "\n".join(
        render_text(plan, verbose=True)
    )
    assert SECRET not in shown
    assert "denied to ***" in shown
    assert "key-***" in shown
