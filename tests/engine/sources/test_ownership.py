"""Name ownership through outages, withdrawals and uploads: the first that has a name owns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.database import WITHDRAWN, CommittedGroup
from reconciler.engine.sources.ownership import NameOwnership, NameRuling, is_committed
from reconciler.engine.sources.source_responses import GONE, REFUSED
from reconciler.model import UPLOAD, Digest

SOURCES = ("remote:a", "remote:b", "repository:c", "remote:d")
NAMES = ("app", "core", "lib", "tool", "web")
BASIS = Digest.of(b"basis")
# How a source answers for a name, and what is recorded then; `failed` keeps what was recorded.
RECORDED = {"listed": "1", "refused": REFUSED, "withdrawn": WITHDRAWN, "gone": GONE}


@dataclass
class Answer:
    """What one source says in one run: unavailable, or how it answers for names."""

    names: dict[str, str] = field(default_factory=dict)
    incomplete: bool = False
    unavailable: bool = False


Committed = dict[str, dict[str, CommittedGroup]]


@dataclass
class Run:
    """What one run gave: who owns which name, and under which names each source brought content."""

    ownership: NameOwnership
    before: Committed
    answers: Mapping[str, Answer]
    brought: dict[str, set[str]] = field(default_factory=dict)
    after: Committed = field(default_factory=dict)


def group(name: str, validator: str = "1") -> CommittedGroup:
    return CommittedGroup(name, validator, BASIS)


def may_bring(
    ownership: NameOwnership, source: str, name: str, *, committed: Mapping[str, CommittedGroup]
) -> bool:
    """Return the ruling; what is asked of every name of a list says the same."""
    allowed = ownership.ruling(source, name, committed.get(name)).allowed
    assert ownership.allows(source, name, committed) is allowed
    return allowed


def run(
    sources: Sequence[str],
    answers: Mapping[str, Answer],
    before: Committed,
    *,
    order: Callable[[Sequence[str]], Sequence[str]] = sorted,
) -> Run:
    """Drive the class as resolvers do: ask the sources in order, claim, release, keep."""
    ownership = NameOwnership(sources)
    result = Run(ownership, before, answers)
    uploads = before.get(UPLOAD, {})
    ownership.reserve_uploads(uploads)
    result.after[UPLOAD] = dict(uploads)
    for source in sources:
        if source != UPLOAD:
            ask(result, source, order)
    return result


def ask(run: Run, source: str, order: Callable[[Sequence[str]], Sequence[str]]) -> None:
    ownership, committed, answer = run.ownership, run.before.get(source, {}), run.answers[source]
    if answer.unavailable:
        ownership.claim_committed(source, committed)
        ownership.mark_unavailable(source)
        run.brought[source], run.after[source] = set(), dict(committed)
        return
    names = order(list(answer.names))
    allowed = [name for name in names if may_bring(ownership, source, name, committed=committed)]
    ownership.claim(source, allowed)
    if answer.incomplete:
        ownership.claim_committed(source, committed)
    for name in allowed:
        if answer.names[name] == "gone":
            ownership.release(source, name)
    if answer.incomplete:
        ownership.mark_unavailable(source)
    run.brought[source] = {name for name in allowed if answer.names[name] == "listed"}
    after = dict(committed) if answer.incomplete else {}
    for name in allowed:
        if answer.names[name] != "failed":
            after[name] = group(name, RECORDED[answer.names[name]])
        elif name in committed:
            after[name] = committed[name]
    run.after[source] = {
        name: one for name, one in after.items() if ownership.owner(name) in (None, source)
    }


answers = st.builds(
    Answer,
    names=st.dictionaries(
        st.sampled_from(NAMES), st.sampled_from(["listed", "listed", "failed", *RECORDED])
    ),
    incomplete=st.integers(0, 4).map(lambda number: number == 0),
    unavailable=st.integers(0, 3).map(lambda number: number == 0),
)
histories = st.lists(st.fixed_dictionaries(dict.fromkeys(SOURCES, answers)), min_size=1, max_size=4)
orders = st.permutations((*SOURCES, UPLOAD))
uploaded = st.sets(st.sampled_from(NAMES), max_size=2)


def runs(
    sources: Sequence[str], history: Sequence[Mapping[str, Answer]], names: set[str]
) -> list[Run]:
    """Carry the committed state from run to run; `names` are uploaded before the second one."""
    committed: Committed = {}
    results = []
    for number, said in enumerate(history):
        if number == 1:
            for name in names:
                upload(sources, committed, name)
        results.append(run(sources, said, committed))
        committed = results[-1].after
    return results


def upload(sources: Sequence[str], committed: Committed, name: str) -> bool:
    """Upload as admission does: unless a source before `upload` is committed to the name."""
    ownership = NameOwnership(sources)
    for source in ownership.before(UPLOAD):
        ownership.claim_committed(source, committed.get(source, {}))
    if not ownership.ruling(UPLOAD, name, None).allowed:
        return False
    committed.setdefault(UPLOAD, {})[name] = group(name, "source")
    return True


def expected_owner(run: Run, sources: Sequence[str], name: str) -> str | None:
    """Say the rule once more, name by name instead of source by source."""
    if name in run.before.get(UPLOAD, {}):
        return UPLOAD
    hidden = False  # behind a source that could not be asked completely
    for source in (source for source in sources if source != UPLOAD):
        answer, committed = run.answers[source], run.before.get(source, {}).get(name)
        had = is_committed(committed)
        answered = not answer.unavailable and name in answer.names and (had or not hidden)
        kept = (answer.unavailable or answer.incomplete) and had
        if (answered and answer.names[name] != "gone") or (kept and not answered):
            return source
        hidden = hidden or answer.unavailable or answer.incomplete
    return None


@given(orders, histories, uploaded)
def test_the_owner_is_the_first_source_that_has_the_name(
    sources: Sequence[str], history: list[dict[str, Answer]], names: set[str]
) -> None:
    for result in runs(sources, history, names):
        for name in NAMES:
            assert result.ownership.owner(name) == expected_owner(result, sources, name)


@given(orders, histories, uploaded)
def test_only_the_owner_brings_content_under_a_name(
    sources: Sequence[str], history: list[dict[str, Answer]], names: set[str]
) -> None:
    for result in runs(sources, history, names):
        for source, brought in result.brought.items():
            assert all(result.ownership.owner(name) == source for name in brought)


@given(orders, histories, uploaded)
def test_no_later_source_takes_a_name_from_one_that_could_not_be_asked(
    sources: Sequence[str], history: list[dict[str, Answer]], names: set[str]
) -> None:
    for result in runs(sources, history, names):
        for source, answer in result.answers.items():
            if not answer.unavailable:
                continue
            later = result.ownership.after(source)
            kept = {
                name for name, one in result.before.get(source, {}).items() if is_committed(one)
            }
            assert not [name for name in kept if result.ownership.owner(name) in {None, *later}]


@given(orders, histories, uploaded)
def test_behind_an_incomplete_source_no_source_gains_a_name(
    sources: Sequence[str], history: list[dict[str, Answer]], names: set[str]
) -> None:
    for result in runs(sources, history, names):
        for source, brought in result.brought.items():
            if result.ownership.unavailable_before(source):
                had = {
                    name for name, one in result.before.get(source, {}).items() if is_committed(one)
                }
                assert brought <= had


@given(orders, histories, st.sets(st.sampled_from(NAMES), min_size=1))
def test_no_remote_takes_the_name_of_an_upload(
    sources: Sequence[str], history: list[dict[str, Answer]], names: set[str]
) -> None:
    for result in runs(sources, history, names):
        held = result.before.get(UPLOAD, {}).keys()
        assert all(result.ownership.owner(name) == UPLOAD for name in held)
        assert not any(held & brought for brought in result.brought.values())


@given(orders, histories)
def test_the_order_of_names_makes_no_difference(
    sources: Sequence[str], history: list[dict[str, Answer]]
) -> None:
    committed: Committed = {}
    for said in history:
        forwards = run(sources, said, committed)
        backwards = run(sources, said, committed, order=partial(sorted, reverse=True))
        assert forwards.ownership.owners == backwards.ownership.owners
        assert (forwards.brought, forwards.after) == (backwards.brought, backwards.after)
        committed = forwards.after


TWO = ("remote:up", "remote:down")


@pytest.mark.parametrize(
    ("answer", "owner"),
    [
        ("listed", "remote:up"),
        ("refused", "remote:up"),
        ("failed", "remote:up"),
        ("withdrawn", "remote:up"),
        ("gone", "remote:down"),
    ],
)
def test_a_name_that_is_gone_is_free_and_any_other_answer_keeps_it(answer: str, owner: str) -> None:
    said = {"remote:up": Answer({"lib": answer}), "remote:down": Answer({"lib": "listed"})}
    result = run(TWO, said, {})
    assert result.ownership.owner("lib") == owner
    outage = {"remote:up": Answer(unavailable=True), "remote:down": Answer({"lib": "listed"})}
    after = run(TWO, outage, result.after)
    kept = owner if answer != "failed" else None  # it was never recorded
    assert after.ownership.owner("lib") == kept


def test_a_ruling_names_the_owner_or_the_source_that_may_have_the_name() -> None:
    ownership = NameOwnership((*TWO, "remote:last"))
    ownership.claim("remote:up", ["app"])
    assert ownership.ruling("remote:down", "app", None) == NameRuling(owner="remote:up")
    assert ownership.ruling("remote:down", "lib", None).allowed
    ownership.mark_unavailable("remote:up")
    assert ownership.ruling("remote:down", "app", group("app")) == NameRuling(owner="remote:up")
    assert ownership.ruling("remote:last", "lib", None) == NameRuling(unavailable="remote:up")
    assert ownership.ruling("remote:last", "lib", group("lib", GONE)).unavailable == "remote:up"
    assert ownership.ruling("remote:last", "lib", group("lib", WITHDRAWN)).allowed
    assert ownership.ruling("remote:up", "lib", None).allowed, "it is not behind itself"


def test_a_source_releases_its_own_names_only() -> None:
    ownership = NameOwnership(TWO)
    ownership.claim("remote:up", ["lib"])
    ownership.release("remote:down", "lib")
    assert ownership.owner("lib") == "remote:up"
    ownership.release("remote:up", "lib")
    assert ownership.owner("lib") is None


def test_shared_groups_have_no_owners() -> None:
    ownership = NameOwnership(TWO, shared_groups=True)
    ownership.claim("remote:up", ["lib"])
    ownership.reserve_uploads({"app": group("app")})
    ownership.mark_unavailable("remote:up")
    assert (dict(ownership.owners), ownership.contested, ownership.incomplete) == ({}, False, True)
    assert all(ownership.ruling("remote:down", name, None).allowed for name in ("lib", "app"))
    assert not ownership.is_followed("remote:up")


def test_an_upload_is_refused_where_a_source_before_it_has_the_name() -> None:
    committed = {"remote:up": {"lib": group("lib"), "old": group("old", GONE)}}
    assert not upload(("remote:up", UPLOAD), committed, "lib")
    assert upload(("remote:up", UPLOAD), committed, "old")
    assert upload((UPLOAD, "remote:up"), committed, "lib")


def test_reserved_names_are_for_uploads_alone_before_anything_is_uploaded() -> None:
    ownership = NameOwnership(("remote:a", UPLOAD), reserved=["acme-*", "tool"])
    committed = {"tool": group("tool"), "lib": group("lib")}
    ownership.claim("remote:a", ["acme-app", "lib"])
    ownership.claim_committed("remote:a", committed)
    for name in ("acme-app", "tool"):
        assert not may_bring(ownership, "remote:a", name, committed=committed)
        assert ownership.ruling("remote:a", name, None) == NameRuling(owner=UPLOAD)
        assert ownership.ruling(UPLOAD, name, None).allowed
    assert may_bring(ownership, "remote:a", "lib", committed=committed)
    assert not ownership.ruling(UPLOAD, "lib", None).allowed
    assert not ownership.allows_all()


def test_positions() -> None:
    ownership = NameOwnership(SOURCES)
    assert ownership.before("remote:b") == ("remote:a",)
    assert ownership.after("remote:b") == ("repository:c", "remote:d")
    assert (ownership.before("remote:x"), ownership.after("remote:x")) == (SOURCES, ())
    assert ownership.is_followed("remote:a")
    assert not ownership.is_followed("remote:d")
