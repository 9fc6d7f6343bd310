"""Groups that a manifest names and of which nothing comes in: the remark of a plan about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from reconciler.model import counted_noun, pluralize
from reconciler.plan import RefusedUnit, version_sort_key

RULES_SHOWN: Final = 3


def nothing_passes(refusals: Iterable[RefusedUnit], plural: str) -> str:
    """Return the remark: each rule with the newest version that it refuses, newest first.

    `nothing passes; newest 4.67.1 refused (house-rules.licenses)`. Without versions the refused
    units are counted, without refusals upstream offers none. `plural`: of the main content type.
    """
    newest: dict[str, str] = {}
    counts: dict[str, int] = {}
    for refusal in refusals:
        rule = refusal.rule or refusal.reason
        counts[rule] = counts.get(rule, 0) + 1
        version = refusal.version or ""
        newest[rule] = max(newest.get(rule, ""), version, key=version_sort_key)
    if not counts:
        return f"nothing passes: upstream offers no {plural}"
    ordered = sorted(counts, key=lambda rule: (version_sort_key(newest[rule]), rule), reverse=True)
    shown = ordered[:RULES_SHOWN]
    first = "newest {} refused" if newest[shown[0]] else "{} refused"
    noun = counted_noun(1, plural)
    texts = [newest[rule] or pluralize(counts[rule], noun, plural) for rule in shown]
    parts = [f"{first.format(texts[0])} ({shown[0]})"]
    parts += [f"{text} ({rule})" for text, rule in zip(texts[1:], shown[1:], strict=True)]
    more = len(ordered) - len(shown)
    if more:
        parts.append(pluralize(more, "more rule"))
    return f"nothing passes; {', '.join(parts)}"
