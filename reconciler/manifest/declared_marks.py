"""Marks that a Repository declares: the key `yank`."""

from __future__ import annotations

from typing import Any

from reconciler.manifest.plugin_lookup import Usable
from reconciler.manifest.validation import Checked
from reconciler.model import YANK, Mark
from reconciler.plugin import Importer, OptionFault
from reconciler.redaction import sanitize


def declared_marks(checked: Checked, importer: Usable) -> tuple[Mark, ...]:
    """Return the marks of a document, as the importer reads them; faults where it cannot."""
    items = checked.items("spec", "yank")
    if checked.get("spec", "yank") is not None and not takes_marks(importer):
        checked.refuse(
            ("spec", "yank"),
            f"`yank`: content of type `{importer.id}` cannot be yanked",
            "a filter with `deny` keeps it out of every publication",
            key=True,
        )
        return ()
    marks = (_yank(checked, importer, index) for index in range(len(items)))
    return tuple(mark for mark in marks if mark is not None)


def takes_marks(importer: Any) -> bool:
    """Return True if an importer, by its class `cls`, knows marks."""
    default: Any = Importer.read_mark
    own: Any = importer.cls.read_mark
    return own.__func__ is not default.__func__


def _yank(checked: Checked, importer: Usable, index: int) -> Mark | None:
    what = checked.text("spec", "yank", index, "what")
    if what is None:  # the model says so
        return None
    reason = checked.text("spec", "yank", index, "reason") or ""
    try:
        mark: Mark = importer.cls.read_mark(Mark(YANK, what, reason=reason))
    except OptionFault as error:
        checked.refuse(("spec", "yank", index, "what"), str(error), error.hint)
        return None
    except Exception as error:  # plugin code
        checked.refuse(
            ("spec", "yank", index, "what"),
            f"the plugin's check failed: {sanitize(str(error), 200)}",
            "this is a fault of the plugin: tell its authors",
        )
        return None
    return mark
