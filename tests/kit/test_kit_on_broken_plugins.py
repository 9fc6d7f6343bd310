"""Each broken plugin is caught by the tests that should, in words that name the fault, and by no
others; a sound one is not accused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest

from reconciler.plugin.testing import Conformance, Subject, Upstream
from tests.kit import broken, broken_content
from tests.kit.sound import Careful
from tests.kit.test_kit_on_quotes import CHANGED, FIRST, becomes, pages
from tests.support.quotes import Quote, QuoteImporter, QuotePublisher, quote

GROWN = [becomes(CHANGED[0])]
LASTING = "Does the low-level importer remove what upstream no longer has?"

# They look at one history, so that asking all of them costs little more than asking one.
HISTORY = frozenset(
    {
        "test_every_sync_succeeds",
        "test_plan_writes_nothing",
        "test_apply_carries_out_the_plan",
        "test_syncing_twice_makes_one_version",
        "test_every_upstream_change_is_synced",
        "test_no_state_is_kept_between_calls",
        "test_no_call_object_is_kept",
        "test_the_event_loop_is_not_blocked",
        "test_publishing_is_deterministic",
    }
)
ALL = sorted(name for name in dir(Conformance) if name.startswith("test_"))


@dataclass(frozen=True)
class Case:
    """A broken part, and what is to be said by which tests. `more`: other fields of the Subject."""

    part: type
    words: Mapping[str, Sequence[str]]
    more: Mapping[str, Any] = field(default_factory=dict)


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What broken plugins remember is gone before the next one is tried."""
    yield
    broken.forget()


def kit(part: type, **more: Any) -> Conformance:
    """The kit on quotations with one part exchanged."""

    def function(base: type) -> Any:
        cls = part if issubclass(part, base) else base
        return lambda: (cls, {})

    class Kit(Conformance):
        def subject(self) -> Subject:
            subject = Subject(
                function(QuoteImporter),
                Upstream(pages(FIRST)),
                [function(Quote)],
                function(QuotePublisher),
            )
            return replace(subject, **more)

    return Kit()


def verdict(kit: Conformance, name: str, folder: Path) -> str | None:
    """What a test of the kit has to say; None where it has nothing."""
    try:
        getattr(kit, name)(folder / name)
    except AssertionError as error:
        return str(error)
    except SkipTest:
        pass
    return None


def one(part: type, test: str, *words: str, **more: Any) -> Any:
    """Caught by a single test."""
    return pytest.param(Case(part, {f"test_{test}": words}, more), id=part.__name__)


def several(part: type, changes: Sequence[Any] = (), **words: Sequence[str]) -> Any:
    return pytest.param(
        Case(part, {f"test_{test}": said for test, said in words.items()}, {"changes": changes}),
        id=part.__name__,
    )


CASES = [
    one(
        broken.ClassCache,
        "no_state_is_kept_between_calls",
        "`ClassCache.seen` changed during a sync",
        "scratchpad",
    ),
    one(
        broken.ModuleGlobal,
        "no_state_is_kept_between_calls",
        "`tests.kit.broken._READ` changed during a sync",
    ),
    one(
        broken.DefaultArgument,
        "no_state_is_kept_between_calls",
        "`DefaultArgument._count` changed",
    ),
    one(
        broken.CachedMethod,
        "no_call_object_is_kept",
        "stale instance of `CachedMethod`",
        "cache of a method",
    ),
    several(
        broken.KeptConduit,
        no_call_object_is_kept=["reference to a stale `ReadConduit`"],
        no_state_is_kept_between_calls=["`KeptConduit.calls`"],
    ),
    several(
        broken.UsedConduit,
        every_sync_succeeds=["used its `ReadConduit` after its call had returned"],
        no_call_object_is_kept=["`ReadConduit`"],
        no_state_is_kept_between_calls=["`UsedConduit.calls`"],
    ),
    one(
        broken.AbsentUnits,
        "a_failure_is_not_an_absence",
        "peace.json` answers 500",
        "removes ['peace: p1']",
        "a failure is not an absence",
        changes=GROWN,
    ),
    one(
        broken.ForbiddenUnits,
        "a_failure_is_not_an_absence",
        "peace.json` answers 403",
        "a failure is not an absence",
        changes=GROWN,
    ),
    one(
        broken.AbsentGroups,
        "a_failure_is_not_an_absence",
        "answers 500",
        "a failure is not an absence",
    ),
    one(
        broken.GreedyDeclare,
        "a_failing_group_does_not_affect_others",
        "every group fails",
        "read ['peace.json', 'war.json'], which are about one group each, in `read`",
    ),
    one(
        broken.Stumbling,
        "malformed_pages_are_reported",
        "`index.json` with the body",
        "AttributeError",
        "raise Malformed",
    ),
    one(
        broken.WeakValidator,
        "every_upstream_change_is_synced",
        "change 1 of upstream was not synced",
        "validator",
        changes=GROWN,
    ),
    one(broken.Floats, "every_sync_succeeds", "unit `p1`", "without floats"),
    one(broken.NoDigest, "every_sync_succeeds", "unit `p1`", "not 64 lower-case hex digits"),
    one(broken.WrongDigest, "every_sync_succeeds", "sha256"),
    one(
        broken.UnsafePath,
        "every_sync_succeeds",
        "unit `p1` has an unsafe artifact path: '../a.txt'",
    ),
    one(broken.OneKey, "every_sync_succeeds", "two units under the key `key`"),
    several(
        broken.MadeUp,
        apply_carries_out_the_plan=["two plans of the same upstream and state differ"],
        every_upstream_change_is_synced=["should be equal"],
    ),
    one(
        broken.OnlyGrowing,
        "every_upstream_change_is_synced",
        "was not synced",
        LASTING,
        changes=[becomes(CHANGED[2])],
    ),
    one(
        broken.OnlyGrowing,
        "every_upstream_change_is_synced",
        "should be equal",
        LASTING,
        changes=[becomes({"war": CHANGED[1]["war"]})],
    ),
    one(
        broken.DayStamp,
        "every_upstream_change_is_synced",
        "should be equal",
        "does the importer read the clock?",
    ),
    several(
        broken.LearntFolder,
        GROWN,
        plan_writes_nothing=[
            "work/trial/importer-quotes/index.txt']",
            "planning must write nothing",
        ],
        no_state_is_kept_between_calls=["`LearntFolder.folder`"],
    ),
    several(
        broken.LearntStore,
        GROWN,
        plan_writes_nothing=[
            "store/index.txt']",
            "keep what must last from sync to sync in the scratchpad",
        ],
        no_state_is_kept_between_calls=["`LearntStore.folder`"],
    ),
    one(
        broken.Sleeping,
        "the_event_loop_is_not_blocked",
        "broken.py:",
        "in `read`, sleeps on the event loop",
        "use `await`",
    ),
    one(
        broken.LookingUp,
        "the_event_loop_is_not_blocked",
        "in `read`, looks up a host name",
        "asyncio.to_thread",
    ),
    one(
        broken.Spinning,
        "the_event_loop_is_not_blocked",
        "`declare` of importer `quotes`",
        "held up everything else",
        block=0.1,
    ),
    one(broken.Hanging, "every_sync_succeeds", "awaited for more than 0.3 s", patience=0.3),
    one(broken.NoMetadata, "plugin_is_enabled", "is disabled", "metadata is malformed", "`id`"),
    one(broken.FutureApi, "plugin_is_enabled", "the importer `quotes` is disabled", ">=3"),
    one(
        broken.AnySource,
        "options_are_strict_and_described",
        "the importer's `options` accept the unknown key `noSuchKey`",
    ),
    one(
        broken.AnyRules,
        "options_are_strict_and_described",
        "the importer's `filter_options` accept the unknown key",
    ),
    one(
        broken.AnyPages,
        "options_are_strict_and_described",
        "the publisher's `options` accept the unknown key",
    ),
    one(
        broken_content.Moment,
        "publishing_is_deterministic",
        "('index/', 'text/plain')",
        "not on the clock",
    ),
    one(broken_content.Today, "publishing_is_deterministic", "('index/', 'text/plain')"),
    one(broken_content.Chance, "publishing_is_deterministic", "or on chance"),
    one(broken_content.Address, "publishing_is_deterministic", "('index/', 'text/plain')"),
    one(
        broken_content.PartialList,
        "publishing_is_deterministic",
        "('index/', 'application/json')",
        "`whole_repository()` lists every group",
        changes=GROWN,
    ),
    one(
        broken_content.EmptiedGroups,
        "every_sync_succeeds",
        "`peace`",
        "after change 3",
        changes=[becomes(files) for files in CHANGED],
    ),
    one(
        broken_content.FirstOnly,
        "selection_is_pure",
        "`select` of `quotes.quote`",
        "have another order",
    ),
    one(broken_content.ByTheClock, "selection_is_pure", "on another day", "use `now`"),
    one(broken_content.Altering, "selection_is_pure", "changes the units of group"),
    one(
        broken_content.NewEveryTime,
        "uploads_are_idempotent",
        "`q1` was uploaded twice, which made versions",
        uploads={"q1": b"text"},
    ),
    one(
        broken_content.SentWhere,
        "uploads_are_idempotent",
        "was refused",
        "needs the field `group`",
        "without fields",
        uploads={"q1": b"text"},
    ),
    one(
        broken_content.SentWhere,
        "uploads_are_idempotent",
        "sent with the fields {'set': 'war'}",
        uploads={"q1": b"text"},
        fields={"set": "war"},
    ),
    one(
        broken_content.TakesAnything,
        "a_refused_upload_stores_nothing",
        "`empty` was accepted: raise Refused",
        refused_uploads={"empty": b""},
    ),
    one(
        broken_content.StumblesOverUploads,
        "a_refused_upload_stores_nothing",
        "makes the importer fail",
        "IndexError",
        refused_uploads={"empty": b""},
    ),
    one(
        broken_content.AddedOnce,
        "a_repository_can_be_removed_and_added_again",
        "again",
        "FileExistsError",
    ),
    one(
        broken_content.UnreadableCopy,
        "a_repository_can_be_promoted",
        "cannot be copied from",
        "KeyError",
    ),
    one(
        QuoteImporter,
        "refused_configurations_are_not_stored",
        "the keys {'include': ['war']} are accepted",
        refused=[{"include": ["war"]}],
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_a_broken_plugin_is_caught(case: Case, tmp_path: Path) -> None:
    tested = kit(case.part, **case.more)
    said = {name: verdict(tested, name, tmp_path) for name in sorted(HISTORY | case.words.keys())}
    assert {name for name, message in said.items() if message is not None} == case.words.keys(), (
        said
    )
    for name, words in case.words.items():
        message = said[name]
        assert message is not None
        assert [word for word in words if word not in message] == [], message


def test_an_unsorted_set_is_caught_by_another_process(tmp_path: Path) -> None:
    tested = kit(
        QuoteImporter,
        importer=broken_content.unsorted_importer,
        publisher=broken_content.unsorted_publisher,
        content_types=[quote],
    )
    message = verdict(tested, "test_another_process_gives_the_same_result", tmp_path)
    assert message is not None
    assert "another process publishes [('index/', 'text/plain')] differently" in message
    assert verdict(tested, "test_publishing_is_deterministic", tmp_path) is None


def test_a_sound_plugin_is_not_accused(tmp_path: Path) -> None:
    tested = kit(Careful, changes=GROWN, rules={"deny": ["w2"]}, remote={"concurrency": 1})
    assert {
        name: said for name in ALL if (said := verdict(tested, name, tmp_path)) is not None
    } == {}


def test_sound_uploads_are_not_accused(tmp_path: Path) -> None:
    tested = kit(
        broken_content.Uploads, uploads={"q1": b"one", "q2": b"two"}, refused_uploads={"empty": b""}
    )
    for name in (
        "test_uploads_are_idempotent",
        "test_a_refused_upload_stores_nothing",
        "test_every_sync_succeeds",
    ):
        getattr(tested, name)(tmp_path / name)


def test_fields_are_sent_along_with_every_upload(tmp_path: Path) -> None:
    tested = kit(
        broken_content.SentWhere,
        uploads={"q1": b"one"},
        refused_uploads={"empty": b""},
        fields={"group": "war"},
    )
    tested.test_uploads_are_idempotent(tmp_path / "taken")
    tested.test_a_refused_upload_stores_nothing(tmp_path / "refused")


def test_what_a_plugin_does_not_offer_is_skipped_with_the_reason(tmp_path: Path) -> None:
    tested = kit(QuoteImporter, publisher=None)
    for name, reason in {
        "test_publishing_is_deterministic": "no publisher",
        "test_uploads_are_idempotent": "the importer accepts no uploads",
        "test_a_refused_upload_stores_nothing": "the importer accepts no uploads",
        "test_refused_configurations_are_not_stored": "list some in `Subject.refused`",
    }.items():
        with pytest.raises(SkipTest, match=reason):
            getattr(tested, name)(tmp_path / name)


def test_a_disabled_plugin_is_said_to_be_so_once(tmp_path: Path) -> None:
    tested = kit(broken.FutureApi)
    assert [name for name in ALL if verdict(tested, name, tmp_path) is not None] == [
        "test_plugin_is_enabled"
    ]


def test_an_upstream_that_holds_nothing_tests_nothing(tmp_path: Path) -> None:
    tested = kit(QuoteImporter, upstream=Upstream({"index.json": b"{}"}))
    assert "give `Subject` an upstream with some units" in (
        verdict(tested, "test_every_sync_succeeds", tmp_path) or ""
    )


def test_a_change_that_changes_nothing_is_said_to_be_none(tmp_path: Path) -> None:
    tested = kit(QuoteImporter, changes=[becomes(FIRST)])
    message = verdict(tested, "test_every_upstream_change_is_synced", tmp_path) or ""
    assert "change 1 of upstream does not change the content" in message


def test_entry_points_may_be_the_classes_themselves(tmp_path: Path) -> None:
    """In another process as well, which imports them by their names."""
    tested = kit(
        QuoteImporter, importer=QuoteImporter, publisher=QuotePublisher, content_types=[Quote]
    )
    assert tested.subject().classes == [QuoteImporter, Quote, QuotePublisher]
    for name in ("test_plugin_is_enabled", "test_another_process_gives_the_same_result"):
        getattr(tested, name)(tmp_path / name)
