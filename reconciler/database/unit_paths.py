"""Paths of a unit's artifacts in rows: relative to the key of the unit, which most begin with.

What follows the key stands there after a `/`, with which no path begins; another path as it is.
"""

from __future__ import annotations

from sqlalchemy import BindParameter, Column, ColumnElement, Integer, case, func, literal_column

from reconciler.database.columns import Name
from reconciler.database.schema import derived_artifact, unit, unit_artifact

_MARK = literal_column("'/'", Name)
_KEY = unit.c.key
_1, _2 = (literal_column(digit, Integer()) for digit in "12")  # parameters are for rows alone


def to_row(path: BindParameter[str]) -> ColumnElement[str]:
    """Return what a row holds for a path; the statement selects from `unit`."""
    length = func.length(_KEY)
    begins_with_key = func.substr(path, _1, length) == _KEY
    return case((begins_with_key, _MARK + func.substr(path, length + _1)), else_=path)


def _from_row(column: Column[str]) -> ColumnElement[str]:
    """Return the path that a row holds; the statement joins `unit`."""
    is_relative = func.substr(column, _1, _1) == _MARK
    return case((is_relative, _KEY + func.substr(column, _2)), else_=column)


OF_ARTIFACT, OF_DERIVED = (_from_row(table.c.path) for table in (unit_artifact, derived_artifact))
