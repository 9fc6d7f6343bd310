"""Plans: the difference of desired and actual state as a value.

A plan is counted, guarded, printed and applied. Comes in: resources, group members and selected
units. Goes out: `Plan`, its text and its JSON document. Must never know: files, networks, clocks,
SQL, YAML, any packaging format but for the order of versions (`order`, PEP 440).

`content` and `resources` compute differences, `guards` the refusals, `text` and `document` render.
All of them, and `reconciler.engine.applying`, iterate the same spool of lines, which `changes`
defines.
"""

from reconciler.plan.changes import (
    ADD,
    CHANGE,
    MOVE,
    NAMED_PROJECT_GONE,
    REFUSE,
    REMOVE,
    Action,
    ChangeLine,
    ContentChanges,
    Counts,
    DelistedShown,
    FieldChange,
    GroupChange,
    GroupLine,
    Line,
    Plan,
    PlanTotals,
    ResourceChange,
    Spool,
    Withholding,
    decode_line,
    encode_line,
    sum_counts,
)
from reconciler.plan.content import (
    ChangeDescriber,
    DesiredGroup,
    GroupMember,
    RefusedUnit,
    apply_changes,
    counts_of,
    difference,
    is_key_taken,
    merge_source_changes,
    refetch_line,
    with_download,
    with_upstream,
)
from reconciler.plan.document import content_entry, delisted_document, render_json
from reconciler.plan.failure import Failure
from reconciler.plan.guards import apply_guards, apply_serving_guards, serving_refusal
from reconciler.plan.order import natural_sort_key, version_sort_key
from reconciler.plan.planned_push import PlannedPush
from reconciler.plan.resources import resource_change
from reconciler.plan.text import counts_text, render_text

__all__ = [
    "ADD",
    "CHANGE",
    "MOVE",
    "NAMED_PROJECT_GONE",
    "REFUSE",
    "REMOVE",
    "Action",
    "ChangeDescriber",
    "ChangeLine",
    "ContentChanges",
    "Counts",
    "DelistedShown",
    "DesiredGroup",
    "Failure",
    "FieldChange",
    "GroupChange",
    "GroupLine",
    "GroupMember",
    "Line",
    "Plan",
    "PlanTotals",
    "PlannedPush",
    "RefusedUnit",
    "ResourceChange",
    "Spool",
    "Withholding",
    "apply_changes",
    "apply_guards",
    "apply_serving_guards",
    "content_entry",
    "counts_of",
    "counts_text",
    "decode_line",
    "delisted_document",
    "difference",
    "encode_line",
    "is_key_taken",
    "merge_source_changes",
    "natural_sort_key",
    "refetch_line",
    "render_json",
    "render_text",
    "resource_change",
    "serving_refusal",
    "sum_counts",
    "version_sort_key",
    "with_download",
    "with_upstream",
]
