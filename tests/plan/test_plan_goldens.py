"""Plans as people and machines read them, pinned: what changes here changes what reviewers and scripts see.

`RECONCILER_WRITE_GOLDENS=1` writes them anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler.model import Digest, Guard, Kind, Ref
from reconciler.plan import (
    REFUSE,
    Action,
    ChangeLine,
    Failure,
    FieldChange,
    Plan,
    Refusal,
    ResourceChange,
    difference,
    document,
    guarded,
    text,
    with_download,
)
from tests.support.plans import PlainWords, a_member, a_unit, changed, content

GOLDEN = Path(__file__).parent.parent / "golden" / "plan"
SOURCE = "remote:up"


def repository(name: str, **rest: object) -> ResourceChange:
    return ResourceChange(Action.UPDATE, Ref(Kind.REPOSITORY, name), **rest)  # type: ignore[arg-type]  # fields of the class


def every_sign() -> ResourceChange:
    members = [a_member(a_unit(key), SOURCE) for key in ("alpha-1.0", "alpha-1.1", "alpha-1.2")]
    wanted = [a_unit("alpha-1.0"), a_unit("alpha-1.1", 1), a_unit("alpha-2.0", size=50_000_000)]
    refusals = [Refusal("test.file", "alpha-3.0", "uploaded 2026-11-18, eligible 2026-11-25 (rules.minAge 7d)", "3.0", "wheel", 10)]
    lines = difference(SOURCE, members, wanted, refusals, PlainWords())
    changes = content([changed(*(with_download(line, {}) for line in lines))], units=3)
    return repository("team", version=(7, 8), content=changes, fields=(FieldChange("spec.sync.mode", None, "additive"),))


def many_refusals() -> ResourceChange:
    lines = [ChangeLine(REFUSE, "test.file", f"k{number:02}", reason=f"reason {number % 12}") for number in range(30)]
    return repository("strict", version=(1, 1), content=content([changed(*lines, name="many")], units=5))


def refused() -> ResourceChange:
    members = [a_member(a_unit(f"alpha-{number}"), SOURCE) for number in range(12)]
    lines = difference(SOURCE, members, [a_unit("alpha-0")], [], PlainWords())
    return guarded(repository("kept", version=(3, 4), content=content([changed(*lines)], units=12)), Guard(), allow_destroy=False)


def failing() -> ResourceChange:
    failures = (
        Failure(SOURCE, None, "`https://index.example.org/` answered 503 Service Unavailable"),
        Failure(SOURCE, "beta", "`https://index.example.org/beta/`: no answer", "`timeouts` of the remote sets the limits"),
    )
    change = content([], failures=failures, unknown=("remote:other", "remote:up: gamma"))
    return ResourceChange(Action.NO_OP, Ref(Kind.REPOSITORY, "half"), version=(2, 2), content=change)


def a_plan() -> Plan:
    changes = (
        ResourceChange(Action.DELETE, Ref(Kind.PUBLICATION, "old"), "no manifest declares it any more"),
        ResourceChange(Action.CREATE, Ref(Kind.REMOTE, "up")),
        ResourceChange(Action.UPDATE, Ref(Kind.REMOTE, "other"), fields=(FieldChange("spec.auth.password", None, "(secret changed)"),)),
        ResourceChange(Action.NO_OP, Ref(Kind.FILTER, "same")),
        every_sign(),
        many_refusals(),
        refused(),
        failing(),
        ResourceChange(Action.UPDATE, Ref(Kind.PUBLICATION, "team"), "the repository has another version", version=(7, 8)),
        ResourceChange(Action.CREATE, Ref(Kind.PUBLICATION, "new"), version=(None, 0)),
    )
    return Plan(Digest.of(b"manifests"), changes, {"test": "1.0"}, (Ref(Kind.REPOSITORY, "orphan"),))


def compare(name: str, found: str) -> None:
    path = GOLDEN / name
    if os.environ.get("RECONCILER_WRITE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("verbose", [False, True])
def test_text(verbose: bool) -> None:
    compare(f"everything{'-verbose' if verbose else ''}.txt", "".join(f"{line}\n" for line in text(a_plan(), verbose=verbose)))


def test_json() -> None:
    written = b"".join(document(a_plan()))
    assert json.loads(written)["digest"] == str(a_plan().digest)
    compare("everything.json", json.dumps(json.loads(written), indent=1) + "\n")
    assert written == json.dumps(json.loads(written), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(), "canonical"


def test_an_empty_plan() -> None:
    plan = Plan(Digest.of(b"manifests"), (ResourceChange(Action.NO_OP, Ref(Kind.REMOTE, "up")),))
    compare("empty.txt", "".join(f"{line}\n" for line in text(plan)))


def test_no_more_refusals_than_a_reader_wants_unless_verbose() -> None:
    lines = [ChangeLine(REFUSE, "test.file", f"k{number:04}", reason="denied") for number in range(1200)]
    plan = Plan(Digest.of(b"m"), (repository("big", version=(1, 1), content=content([changed(*lines)])),))
    for verbose, number in ((False, 1000), (True, 1200)):
        refused = json.loads(b"".join(document(plan, verbose=verbose)))["changes"][0]["content"]["refused"]
        assert len(refused["entries"]) == number
        assert refused["counts"] == {"denied": 1200}
