"""Rows of the table: what was measured, against whom, and whether it reaches the target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tests.benchmarks.costs import Cost


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `met`: None where it could not be told. `numbers`: what the line was
    made of, for machines.
    """

    work: str
    measured: str
    peer: str
    ratio: str
    target: str
    met: bool | None
    numbers: dict[str, Any] = field(default_factory=dict)

    def informal(self) -> Row:
        """The same numbers, to compare with: nothing that anybody promised."""
        return replace(self, met=None)

    def promised(self, target: str, met: bool) -> Row:
        """The same numbers, with what they have to reach."""
        return replace(self, target=target, met=met)

    def cells(self) -> list[str]:
        return [
            self.work,
            self.measured,
            self.peer,
            self.ratio,
            self.target,
            {True: "yes", False: "**no**", None: "-"}[self.met],
        ]


def against(
    work: str, ours: Cost, name: str, *, peer: Cost | None, target: float, cpu: bool = False
) -> Row:
    """Our cost as a multiple of a peer's, in wall time and, with `cpu`, in CPU as well."""
    asked = f"{target:g} x {name}, {'wall and CPU' if cpu else 'wall'}"
    numbers = {"ours": ours.fields(), "peer": peer.fields() if peer else None, "target": target}
    if peer is None:
        return Row(work, said(ours), f"{name} is not here", "-", asked, None, numbers)
    wall, work_done = ours.wall / peer.wall, ours.cpu / peer.cpu
    met = wall <= target and (work_done <= target or not cpu)
    return Row(
        work,
        said(ours),
        f"{name} {said(peer)}",
        f"{wall:.2f} / {work_done:.2f}",
        asked,
        met,
        numbers,
    )


def within(work: str, value: float, limit: float, *, unit: str, more: str = "") -> Row:
    """A number that has a limit of its own. `more`: what else to say about it."""
    shown = f"{value:.3g} {unit}{f', {more}' if more else ''}"
    return Row(
        work,
        shown,
        "",
        "",
        f"{limit:g} {unit}",
        value <= limit,
        {"value": value, "limit": limit, "unit": unit},
    )


def said(cost: Cost) -> str:
    """`1.23 / 0.98 s`, with memory and requests where they are known."""
    words = f"{cost.wall:.2f} / {cost.cpu:.2f} s"
    if cost.requests is not None:
        words += f", {cost.requests:,} request{'s' if cost.requests != 1 else ''}"
    return words + (f", {cost.memory:.0f} MiB" if cost.memory else "")
