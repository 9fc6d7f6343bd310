"""`No changes` never hides that something undeclared is still there."""

from __future__ import annotations

import pytest

from reconciler.model import Digest, Kind, Ref
from reconciler.plan import Plan, render_text

PUBLICATION, FILTER = Ref(Kind.PUBLICATION, "old"), Ref(Kind.FILTER, "old")


@pytest.mark.parametrize(
    ("unowned", "last"),
    [
        ((), "No changes: nothing is declared here."),
        ((PUBLICATION,), "No changes. 1 undeclared resource is still served: --prune removes it."),
        (
            (FILTER, PUBLICATION),
            "No changes. 2 undeclared resources are still served: --prune removes them.",
        ),
        ((FILTER,), "No changes. 1 undeclared resource is still recorded: --prune removes it."),
    ],
)
def test_what_is_undeclared_is_counted_in_the_last_line(
    unowned: tuple[Ref, ...], last: str
) -> None:
    plan = Plan(Digest.of(b""), (), unowned=unowned)
    assert list(render_text(plan))[-1] == last
    assert plan.empty, "nothing is pending: `--detailed-exitcode` counts it only with `--prune`"
