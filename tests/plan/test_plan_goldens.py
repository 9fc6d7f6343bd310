"""Plans as people and machines read them, pinned.

A change here changes what reviewers and scripts see. `RECONCILER_WRITE_GOLDENS=1` writes them anew.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Digest, Guard, Kind, Ref
from reconciler.plan import (
    REFUSE,
    Action,
    ChangeLine,
    Counts,
    DelistedShown,
    DesiredGroup,
    Failure,
    FieldChange,
    Plan,
    RefusedUnit,
    ResourceChange,
    apply_guards,
    difference,
    render_json,
    render_text,
    sum_counts,
    with_download,
)
from reconciler.plan.changes import OTHER_REASONS, REASONS
from tests.support.plans import PlainWords, a_member, a_unit, changed, content

GOLDEN = Path(__file__).parent.parent / "golden" / "plan"
SOURCE = "remote:up"


def repository(name: str, **rest: object) -> ResourceChange:
    return ResourceChange(Action.UPDATE, Ref(Kind.REPOSITORY, name), **rest)  # type: ignore[arg-type]  # fields of the class


def every_sign() -> ResourceChange:
    members = [a_member(a_unit(key), SOURCE) for key in ("alpha-1.0", "alpha-1.1", "alpha-1.2")]
    wanted = [a_unit("alpha-1.0"), a_unit("alpha-1.1", 1), a_unit("alpha-2.0", size=50_000_000)]
    refusals = [
        RefusedUnit(
            "test.file",
            "alpha-3.0",
            "uploaded 2026-11-18, eligible 2026-11-25 (rules.minAge 7d)",
            "3.0",
            "wheel",
            10,
        )
    ]
    lines = difference(SOURCE, members, DesiredGroup(wanted, refusals), describer=PlainWords())
    changes = content([changed(*(with_download(line, {}, {}) for line in lines))], units=3)
    return repository(
        "team",
        version=(7, 8),
        content=changes,
        fields=(FieldChange("spec.sync.mode", None, "additive"),),
    )


def many_refusals() -> ResourceChange:
    lines = [
        ChangeLine(REFUSE, "test.file", f"k{number:02}", reason=f"reason {number % 12}")
        for number in range(30)
    ]
    return repository(
        "strict", version=(1, 1), content=content([changed(*lines, name="many")], units=5)
    )


def refused() -> ResourceChange:
    members = [a_member(a_unit(f"alpha-{number}"), SOURCE) for number in range(12)]
    lines = difference(SOURCE, members, DesiredGroup([a_unit("alpha-0")]), describer=PlainWords())
    return apply_guards(
        repository("kept", version=(3, 4), content=content([changed(*lines)], units=12)),
        Guard(),
        allow_destroy=False,
    )


def failing() -> ResourceChange:
    failures = (
        Failure(SOURCE, None, "`https://index.example.org/` answered 503 Service Unavailable"),
        Failure(
            SOURCE,
            "beta",
            "`https://index.example.org/beta/`: no answer",
            "`timeouts` of the remote sets the limits",
        ),
    )
    change = content([], failures=failures, unknown=("remote:other", "remote:up: gamma"))
    return ResourceChange(
        Action.NO_OP, Ref(Kind.REPOSITORY, "half"), version=(2, 2), content=change
    )


def a_plan() -> Plan:
    changes = (
        ResourceChange(
            Action.DELETE, Ref(Kind.PUBLICATION, "old"), "no manifest declares it any more"
        ),
        ResourceChange(Action.CREATE, Ref(Kind.REMOTE, "up")),
        ResourceChange(
            Action.UPDATE,
            Ref(Kind.REMOTE, "other"),
            fields=(FieldChange("spec.auth.password", None, "(secret changed)"),),
        ),
        ResourceChange(Action.NO_OP, Ref(Kind.FILTER, "same")),
        every_sign(),
        many_refusals(),
        refused(),
        failing(),
        ResourceChange(
            Action.UPDATE,
            Ref(Kind.PUBLICATION, "team"),
            "the repository has another version",
            version=(7, 8),
        ),
        ResourceChange(Action.CREATE, Ref(Kind.PUBLICATION, "new"), version=(None, 0)),
    )
    return Plan(
        Digest.of(b"manifests"), changes, {"test": "1.0"}, (Ref(Kind.REPOSITORY, "orphan"),)
    )


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("RECONCILER_WRITE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("verbose", [False, True])
def test_text(verbose: bool) -> None:
    compare(
        f"everything{'-verbose' if verbose else ''}.txt",
        "".join(f"{line}\n" for line in render_text(a_plan(), verbose=verbose)),
    )


def test_json() -> None:
    written = b"".join(render_json(a_plan()))
    assert json.loads(written)["digest"] == str(a_plan().digest)
    compare("everything.json", json.dumps(json.loads(written), indent=1) + "\n")
    assert (
        written
        == json.dumps(
            json.loads(written), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
    ), "canonical"


def test_an_empty_plan() -> None:
    plan = Plan(Digest.of(b"manifests"), (ResourceChange(Action.NO_OP, Ref(Kind.REMOTE, "up")),))
    compare("empty.txt", "".join(f"{line}\n" for line in render_text(plan)))


@pytest.mark.parametrize("verbose", [False, True])
def test_what_upstream_no_longer_lists_is_named_where_it_is_shown(verbose: bool) -> None:
    """In a plan that changes nothing as well, and no more of it than a reader wants."""
    files = tuple(("test.file", "alpha", f"alpha-1.{n}.whl") for n in range(11))
    shown = (
        DelistedShown(12, files, "distributions"),
        DelistedShown(1, (("test.file", "07", "tools/jq"),), "files", buckets=True),
    )
    changes = [
        ResourceChange(Action.NO_OP, Ref(Kind.PUBLICATION, name), version=(3, 3), delisted=delisted)
        for name, delisted in zip(("stable", "tools"), shown, strict=True)
    ]
    plan = Plan(Digest.of(b"m"), tuple(changes))
    name = f"delisted{'-verbose' if verbose else ''}.txt"
    compare(name, "".join(f"{line}\n" for line in render_text(plan, verbose=verbose)))
    [first, second] = json.loads(b"".join(render_json(plan)))["changes"]
    assert (first["delistedShown"]["total"], len(first["delistedShown"]["entries"])) == (12, 11)
    entry = {"type": "test.file", "group": "07", "key": "tools/jq"}
    assert second["delistedShown"] == {"total": 1, "entries": [entry]}


def test_no_more_refusals_than_a_reader_wants_unless_verbose() -> None:
    lines = [
        ChangeLine(REFUSE, "test.file", f"k{number:04}", reason="denied") for number in range(1200)
    ]
    plan = Plan(
        Digest.of(b"m"), (repository("big", version=(1, 1), content=content([changed(*lines)])),)
    )
    for verbose, number in ((False, 1000), (True, 1200)):
        refused = json.loads(b"".join(render_json(plan, verbose=verbose)))["changes"][0]["content"][
            "refused"
        ]
        assert len(refused["entries"]) == number
        assert refused["counts"] == {"denied": 1200}


def test_thousands_of_reasons_of_one_rule_are_one_line() -> None:
    rule = "house-rules.minAge 7d"
    refusals = [
        RefusedUnit(
            "test.file",
            f"k{n}",
            f"uploaded {n}, eligible {n + 7} ({rule})",
            str(n),
            "wheel",
            10,
            rule,
        )
        for n in range(5000)
    ]
    content_of = content(
        [changed(*difference(SOURCE, [], DesiredGroup([], refusals), describer=PlainWords()))]
    )
    plan = Plan(Digest.of(b"m"), (repository("big", version=(1, 1), content=content_of),))
    lines = [line for line in render_text(plan) if "!" in line]
    assert lines[0] == f"    ! 5,000 refused: {rule}"
    assert "`--verbose`" in lines[1]
    assert "`reconciler explain repository/big NAME`" in lines[1]
    assert len(lines) == 2
    assert len([line for line in render_text(plan, verbose=True) if "!" in line]) == 5000
    refused = json.loads(b"".join(render_json(plan)))["changes"][0]["content"]["refused"]
    assert refused["counts"] == {rule: 5000}
    assert {entry["rule"] for entry in refused["entries"]} == {rule}


@given(
    st.lists(
        st.lists(
            st.sampled_from([f"reason {number:03}" for number in range(3 * REASONS)]), max_size=400
        ),
        max_size=6,
    ),
    st.randoms(),
)
def test_reasons_are_counted_within_bounds_in_any_order(
    parts: list[list[str]], chance: random.Random
) -> None:
    """A plugin may give another reason for every unit; the order of counting is irrelevant."""
    counted = [Counts(refused=dict(Counter(part))) for part in parts]
    total = sum_counts(counted).refused
    chance.shuffle(counted)
    assert sum_counts(counted).refused == total
    every = Counter(reason for part in parts for reason in part)
    assert sum(total.values()) == every.total()
    assert len(total) <= REASONS
    assert all(
        every[reason] == number for reason, number in total.items() if reason != OTHER_REASONS
    )
