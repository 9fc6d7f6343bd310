"""SPDX licence expressions: parsed into sets, and compared with what is allowed.

`packaging` knows the identifiers and spells them canonically; `license-expression` reads the
operators. This module decides what satisfies an expression.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final

_LONGEST: Final = 4096  # characters; the longest expressions of real packages have some hundreds
_DEEPEST: Final = 50  # parentheses within each other
_GNU = re.compile(r"((?:A|L)?GPL|GFDL)-[0-9.]+")
_LATER: Final = "-or-later"

AND: Final = "AND"
OR: Final = "OR"


class Compound(tuple[str, frozenset["Expression"]]):
    """`AND` or `OR`, and at least two operands of another kind.

    Order and repetition are gone: they mean nothing.
    """

    __slots__ = ()


Expression = str | Compound
"""One licence (`MIT`, `Apache-2.0+`, `GPL-2.0-only WITH Classpath-exception-2.0`), or several."""


class UnreadableExpression(ValueError):
    """Raised for a text that is not an SPDX expression of current licences; gives the reason."""


def canonical_text(text: str) -> str:
    """Return the expression in SPDX's own spelling. Raises UnreadableExpression."""
    # A table of all licences: only manifests that ask about licences pay for it.
    from packaging.licenses import canonicalize_license_expression

    if len(text) > _LONGEST or text.count("(") > _LONGEST // 8:
        raise UnreadableExpression("it is too long")
    try:
        return " ".join(canonicalize_license_expression(text).split())
    except (ValueError, MemoryError, RecursionError) as error:
        # It compiles the operators as Python: deep ones exhaust the compiler.
        raise UnreadableExpression(_first_line(error)) from None


@lru_cache(maxsize=4096)
def parse_expression(text: str) -> Expression:
    """Return the meaning of an expression, in any spelling. Raises UnreadableExpression."""
    from license_expression import Licensing  # type: ignore[import-untyped]

    canonical = canonical_text(text)
    if max(accumulate((letter == "(") - (letter == ")") for letter in canonical)) > _DEEPEST:
        raise UnreadableExpression("it is nested too deeply")
    return _expression(Licensing().parse(canonical))


def alternatives(expression: Expression) -> frozenset[Expression]:
    """Return the expressions of which each is enough: the operands of an `OR`, else itself."""
    return (
        expression[1]
        if isinstance(expression, Compound) and expression[0] == OR
        else frozenset({expression})
    )


def satisfied(expression: Expression, allowed: frozenset[Expression]) -> bool:
    """Return True if the expression can be met with what is allowed.

    Of an `OR` one operand is enough, of an `AND` every one is needed. A licence with an exception
    is met where the licence alone is: exceptions only permit more. One `or later` is met by its own
    version.
    """
    if expression in allowed:
        return True
    if isinstance(expression, Compound):
        operator, operands = expression
        met = any if operator == OR else all
        return met(satisfied(operand, allowed) for operand in operands)
    return any(weaker in allowed for weaker in _sufficient_licences(expression))


def _sufficient_licences(licence: str) -> list[str]:
    """Return licences of which each is enough to use what is under `licence`."""
    name, _, exception = licence.partition(" WITH ")
    names = [name]
    if name.endswith(_LATER):
        names.append(name.removesuffix(_LATER) + "-only")
    elif name.endswith("+"):
        names.append(name[:-1])
    return names + [f"{name} WITH {exception}" for name in names if exception]


def _expression(node: Any) -> Expression:
    """Return a node of the library's tree in our form, without order and repetition."""
    if not node.isliteral:
        return _joined(node.operator.strip(), [_expression(operand) for operand in node.args])
    if hasattr(node, "exception_symbol"):
        return f"{_modern(node.license_symbol.key)} WITH {node.exception_symbol.key}"
    return _modern(node.key)


def _modern(name: str) -> str:
    """Return today's identifier: `GPL-2.0` is `GPL-2.0-only`, `GPL-2.0+` is `GPL-2.0-or-later`."""
    plain = name.removesuffix("+")
    if _GNU.fullmatch(plain) is None:
        return name
    return plain + (_LATER if name.endswith("+") else "-only")


def _joined(operator: str, operands: list[Expression]) -> Expression:
    flat: set[Expression] = set()
    for operand in operands:
        flat |= (
            operand[1] if isinstance(operand, Compound) and operand[0] == operator else {operand}
        )
    return flat.pop() if len(flat) == 1 else Compound((operator, frozenset(flat)))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "it is too complicated")[:200]
