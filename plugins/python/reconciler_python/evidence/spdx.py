"""SPDX licence expressions: read into a form without order and parentheses, and held against what
is allowed.

`packaging` knows the identifiers and spells them canonically; the operators are few enough to be
read here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from reconciler.plugin import sanitize

_LONGEST = 4096  # characters; the longest expressions of real packages have some hundreds
_DEEPEST = 50  # parentheses within each other
_GNU = re.compile(r"((?:A|L)?GPL|GFDL)-[0-9.]+")
_LATER: Final = "-or-later"

AND: Final = "AND"
OR: Final = "OR"


class Compound(tuple[str, frozenset["Expression"]]):
    """`AND` or `OR`, and at least two operands of another kind. Order and repetition are gone: they
    mean nothing.
    """

    __slots__ = ()


Expression = str | Compound
"""One licence (`MIT`, `Apache-2.0+`, `GPL-2.0-only WITH Classpath-exception-2.0`), or several."""


class UnreadableExpression(ValueError):
    """Raised for a text that is no SPDX expression of licences that are known today; says why."""


def canonical_text(text: str) -> str:
    """The expression in SPDX's own spelling. Raises UnreadableExpression."""
    from packaging.licenses import (
        canonicalize_license_expression,
    )  # a table of all licences: only for manifests that ask about them

    if len(text) > _LONGEST or text.count("(") > _LONGEST // 8:
        raise UnreadableExpression("it is too long")
    try:
        return " ".join(canonicalize_license_expression(text).split())
    except (
        ValueError,
        MemoryError,
        RecursionError,
    ) as error:  # it compiles the operators as Python: deep ones exhaust the compiler
        raise UnreadableExpression(_first_line(error)) from None


@lru_cache(maxsize=4096)
def parse_expression(text: str) -> Expression:
    """The meaning of an expression, in whatever spelling. Raises UnreadableExpression."""
    reader = _Reader(canonical_text(text))
    found = reader.either(0)
    if reader.left:
        raise UnreadableExpression(f"`{reader.left[0]}` stands where it has no meaning")
    return found


def alternatives(expression: Expression) -> frozenset[Expression]:
    """What it names as sufficient each on its own: the operands of an `OR`, else itself."""
    return (
        expression[1]
        if isinstance(expression, Compound) and expression[0] == OR
        else frozenset({expression})
    )


def satisfied(expression: Expression, allowed: frozenset[Expression]) -> bool:
    """Can it be met with what is allowed? Of an `OR` one operand is enough, of an `AND` every one
    is needed.

    A licence with an exception is met where the licence alone is: exceptions only permit more. One
    `or later` is met by its own version.
    """
    if expression in allowed:
        return True
    if isinstance(expression, Compound):
        operator, operands = expression
        met = any if operator == OR else all
        return met(satisfied(operand, allowed) for operand in operands)
    return any(weaker in allowed for weaker in _choices(expression))


def _choices(licence: str) -> list[str]:
    """Licences of which each is enough to use what is under `licence`."""
    name, _, exception = licence.partition(" WITH ")
    names = [name]
    if name.endswith(_LATER):
        names.append(name.removesuffix(_LATER) + "-only")
    elif name.endswith("+"):
        names.append(name[:-1])
    return names + [f"{each} WITH {exception}" for each in names if exception]


def _modern(name: str) -> str:
    """`GPL-2.0` and `GPL-2.0+` are old identifiers of `GPL-2.0-only` and `GPL-2.0-or-later`."""
    plain = name.removesuffix("+")
    if _GNU.fullmatch(plain) is None:
        return name
    return plain + (_LATER if name.endswith("+") else "-only")


class _Reader:
    """Recursive descent over canonical tokens; `OR` binds loosest."""

    def __init__(self, text: str) -> None:
        self.left = text.replace("(", " ( ").replace(")", " ) ").split()

    def either(self, depth: int) -> Expression:
        return self._joined(OR, depth)

    def _joined(self, operator: str, depth: int) -> Expression:
        operands = [self._operand(operator, depth)]
        while self.left and self.left[0] == operator:
            del self.left[0]
            operands.append(self._operand(operator, depth))
        return _joined(operator, operands)

    def _operand(self, operator: str, depth: int) -> Expression:
        return self._joined(AND, depth) if operator == OR else self._licence(depth)

    def _licence(self, depth: int) -> Expression:
        word = self._next()
        if word == "(":
            if depth == _DEEPEST:
                raise UnreadableExpression("it is nested too deeply")
            found = self.either(depth + 1)
            if self._next() != ")":
                raise UnreadableExpression("a parenthesis is not closed")
            return found
        if word in {AND, OR, ")", "WITH"}:
            raise UnreadableExpression(f"`{word}` stands where a licence is expected")
        name = _modern(word)
        if self.left and self.left[0] == "WITH":
            del self.left[0]
            return f"{name} WITH {self._next()}"
        return name

    def _next(self) -> str:
        if not self.left:
            raise UnreadableExpression("it ends where a licence is expected")
        return self.left.pop(0)


def _joined(operator: str, operands: list[Expression]) -> Expression:
    flat: set[Expression] = set()
    for operand in operands:
        flat |= (
            operand[1] if isinstance(operand, Compound) and operand[0] == operator else {operand}
        )
    return flat.pop() if len(flat) == 1 else Compound((operator, frozenset(flat)))


def _first_line(error: BaseException) -> str:
    return sanitize(next(iter(str(error).splitlines()), "it is too complicated"), 200)
