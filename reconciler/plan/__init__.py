"""The heart: desired state x actual state -> a plan that can be read, counted, guarded, printed and
carried out.

Comes in: resources, group members and selected units. Goes out: `Plan`, its text and its JSON
document. Must never know: files, networks, clocks, SQL, YAML, any packaging format.

`content` and `resources` hold the differences, `guards` the brakes, `text` and `document` the two
renderings; all of them, and the executor in `reconciler.engine`, walk the same spool of lines that
`changes` defines.
"""

from reconciler.plan.changes import (
    ADD,
    CHANGE,
    MOVE,
    REFUSE,
    REMOVE,
    Action,
    ChangeLine,
    ContentChanges,
    Counts,
    Failure,
    FieldChange,
    GroupChange,
    GroupLine,
    Line,
    Plan,
    ResourceChange,
    Spool,
    Summary,
    Withholding,
    decode_line,
    encode_line,
    sum_counts,
)
from reconciler.plan.content import (
    Member,
    Refusal,
    Words,
    applied,
    contested,
    counts_of,
    difference,
    fetching,
    settle,
    with_download,
)
from reconciler.plan.document import document, entry
from reconciler.plan.guards import guarded, serving_guarded, serving_refusal
from reconciler.plan.resources import resource_change
from reconciler.plan.text import counts_text, natural, size_text, text

__all__ = [
    "ADD",
    "CHANGE",
    "MOVE",
    "REFUSE",
    "REMOVE",
    "Action",
    "ChangeLine",
    "ContentChanges",
    "Counts",
    "Failure",
    "FieldChange",
    "GroupChange",
    "GroupLine",
    "Line",
    "Member",
    "Plan",
    "Refusal",
    "ResourceChange",
    "Spool",
    "Summary",
    "Withholding",
    "Words",
    "applied",
    "contested",
    "counts_of",
    "counts_text",
    "decode_line",
    "difference",
    "document",
    "encode_line",
    "entry",
    "fetching",
    "guarded",
    "natural",
    "resource_change",
    "serving_guarded",
    "serving_refusal",
    "settle",
    "size_text",
    "sum_counts",
    "text",
    "with_download",
]
