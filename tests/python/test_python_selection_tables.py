"""The tables of docs/reference/selection.md are those that the code makes.

`RECONCILER_GOLDEN=write` writes them anew; read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.selecting.filter_checks import FILTER_CHECKS
from tests.support.selection_tables import EXAMPLES, tables

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "selection.md"
_SECTION = re.compile(r"<!-- begin: ([a-z ]+) -->\n(.*?)<!-- end: \1 -->\n", re.DOTALL)


def test_the_page_holds_the_tables_that_the_code_makes() -> None:
    made = tables()
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("RECONCILER_GOLDEN") == "write":
        page = _SECTION.sub(
            lambda found: (
                f"<!-- begin: {found[1]} -->\n\n{made[found[1]]}\n\n<!-- end: {found[1]} -->\n"
            ),
            page,
        )
        PAGE.write_text(page, encoding="utf-8")
    shown = {found[1]: found[2].strip() for found in _SECTION.finditer(page)}
    assert shown == made, (
        "the tables of docs/reference/selection.md are not what the code says;"
        " `RECONCILER_GOLDEN=write` writes them"
    )


def test_every_key_of_a_filter_is_asked() -> None:
    assert {example.key for example in EXAMPLES} == {
        field.alias for field in FilterOptions.model_fields.values()
    }


def test_every_key_that_can_keep_a_file_out_has_its_place_in_the_order() -> None:
    order = tables()["order"]
    silent = {"minAgeExempt"}
    assert {example.key for example in EXAMPLES if f"`{example.key}" not in order} == silent


def test_every_key_of_a_filter_is_a_check_or_decided_after_them() -> None:
    """This test leads the author of a new key to the table."""
    aliases = {field.alias for field in FilterOptions.model_fields.values()}
    assert set(FILTER_CHECKS) == aliases - {"minAge", "minAgeExempt", "latest"}


def test_the_checks_speak_in_the_order_of_their_table() -> None:
    order = re.findall(r"\| `(\w+)` \|", tables()["order"])
    assert [key for key in order if key in FILTER_CHECKS] == list(FILTER_CHECKS)
