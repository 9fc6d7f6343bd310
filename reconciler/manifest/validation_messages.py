"""Messages for pydantic's errors, each with its place in the file and a hint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reconciler.errors import Fault
from reconciler.manifest.document import Document, Path
from reconciler.manifest.scalars import shown
from reconciler.model import pluralize
from reconciler.plugin import Options

_EXPECTS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_LIMITS = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
}
_LENGTHS = {
    "string_too_short": ("at least", "min_length"),
    "string_too_long": ("at most", "max_length"),
}
_YES = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_KEY = "[key]"


@dataclass(frozen=True, slots=True)
class Finding:
    """One error of pydantic.

    `path`: of its value. `union`, `branch`: the union and the branch of it that the error is about,
    if any.
    """

    error: ErrorDetails
    path: Path
    union: Path | None = None
    branch: str = ""
    missing: str = ""


def suggestion(name: object, candidates: Iterable[str], otherwise: str | None = None) -> str | None:
    """Return a hint: the closest known name, else `otherwise`, else what is expected."""
    names = sorted(set(candidates))
    close = get_close_matches(name, names, n=1, cutoff=0.6) if isinstance(name, str) else []
    if close:
        return f"did you mean `{close[0]}`?"
    if otherwise is not None or not names:
        return otherwise
    return (
        "expected "
        + ", ".join(f"`{shown(name)}`" for name in names[:8])
        + (", …" if len(names) > 8 else "")
    )


def dotted(path: Path) -> str:
    """Return a path as text: `spec.sources[0].remote`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shown(step)}" if text else shown(step)
    return text


def keys(model: type[Options]) -> dict[str, str]:
    """Return the fields of a model by their keys in manifests."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def findings(error: ValidationError, value: Any) -> list[Finding]:
    """Return the errors in `value`; of each union only those of the nearest branch."""
    errors = [_finding(details, value) for details in error.errors(include_url=False)]
    branches: dict[Path, dict[str, list[Finding]]] = {}
    for finding in errors:
        if finding.union is not None:
            branches.setdefault(finding.union, {}).setdefault(finding.branch, []).append(finding)
    nearest = {union: min(choices.values(), key=_distance) for union, choices in branches.items()}
    return [
        finding for finding in errors if finding.union is None or finding in nearest[finding.union]
    ]


def explained(
    errors: Sequence[Finding],
    document: Document,
    prefix: Path,
    *,
    model: type[Options],
    also: Sequence[str] = (),
) -> list[Fault]:
    """Return faults with places. `also`: keys known beside those of `model`, for hints."""
    unknown: dict[Path, set[str]] = {}
    faults = []
    for finding in errors:
        if finding.error["type"] == "extra_forbidden":
            owner = _model_at(model, finding.error["loc"][:-1])
            expected = [*keys(owner), *(also if len(finding.path) == 1 else ())]
            fault, instead = _unknown(
                document, (*prefix, *finding.path), owner=owner, expected=expected
            )
            unknown.setdefault(finding.path[:-1], set()).add(instead)
            faults.append(fault)
    for finding in errors:
        if finding.missing:
            instead_of = unknown.get(finding.path, set())
            if finding.missing not in instead_of and "" not in instead_of:
                faults.append(_missing(document, (*prefix, *finding.path), finding.missing))
        elif finding.error["type"] != "extra_forbidden":
            faults.append(_wrong(document, (*prefix, *finding.path), finding.error))
    return faults


def _finding(error: ErrorDetails, value: Any) -> Finding:
    """Return an error with the path of its value in the file.

    pydantic's locations also name branches of unions and places that do not exist.
    """
    loc = error["loc"]
    missing = str(loc[-1]) if error["type"] == "missing" and loc else ""
    path: list[str | int] = []
    union: Path | None = None
    branch = ""
    for step in loc[:-1] if missing else loc:
        if (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        ):
            path.append(step)
            value = value[step]  # type: ignore[index]
        elif step != _KEY and union is None:
            union, branch = tuple(path), str(step)
    return Finding(error, tuple(path), union, branch, missing)


def _distance(branch: Sequence[Finding]) -> tuple[int, int]:
    """Return the sort key of a union's branch, nearest first.

    Branches that refuse the value as a whole come last, but a number is nearest to a text; then
    fewer errors come first.
    """
    refusals = [
        finding.error for finding in branch if finding.path == finding.union and not finding.missing
    ]
    if any(
        error["type"] == "string_type" and isinstance(error["input"], (bool, int, float))
        for error in refusals
    ):
        return 0, len(branch)
    return 1 + len(refusals) + any(error["type"] in _EXPECTS for error in refusals), len(branch)


def _model_at(model: type[Options], loc: tuple[int | str, ...]) -> type[Options]:
    """Return the model at a location, or the nearest one above it."""
    candidates = [model]
    for step in loc:
        named = [candidate for candidate in candidates if candidate.__name__ == step]
        fields = (
            [
                candidate.model_fields[keys(candidate)[step]]
                for candidate in candidates
                if step in keys(candidate)
            ]
            if isinstance(step, str)
            else []
        )
        candidates = (
            named
            or [inner for field in fields for inner in _models_in(field.annotation)]
            or candidates
        )
    return candidates[0]


def _models_in(annotation: Any) -> list[type[Options]]:
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _unknown(
    document: Document, path: Path, *, owner: type[Options], expected: Sequence[str]
) -> tuple[Fault, str]:
    """Return the fault for an unknown key, and the key that was probably meant.

    The second is empty for a key that is not supported yet.
    """
    name = path[-1]
    origin = document.place(path, key=True)
    if name in owner.not_yet:
        return Fault(origin, f"`{dotted(path)}` is not supported yet", "leave it out"), ""
    close = get_close_matches(str(name), expected, n=1, cutoff=0.6)
    where = f" in `{dotted(path[:-1])}`" if len(path) > 1 else ""
    hint = suggestion(
        name,
        expected,
        "known here: " + ", ".join(f"`{key}`" for key in sorted(expected)) if expected else None,
    )
    return Fault(origin, f"unknown key `{shown(str(name))}`{where}", hint), (
        close[0] if close else str(name)
    )


def _missing(document: Document, path: Path, name: str) -> Fault:
    where = f"`{dotted(path)}` lacks" if path else "the document lacks"
    return Fault(document.place(path, key=True), f"{where} `{name}`")


def _wrong(document: Document, path: Path, error: ErrorDetails) -> Fault:
    message, hint = _described(error)
    return Fault(
        document.place(path, key=error["loc"][-1:] == (_KEY,)),
        f"`{dotted(path)}`: {message}" if path else message,
        hint,
    )


def _described(error: ErrorDetails) -> tuple[str, str | None]:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _EXPECTS:
        return f"expects {_EXPECTS[kind]}", _retyped(_EXPECTS[kind], error["input"])
    if kind in ("literal_error", "enum"):
        return "expects " + str(context["expected"]).replace("'", "`"), _likeliest(
            str(context["expected"]), error["input"]
        )
    if kind in _LENGTHS:
        limit, key = _LENGTHS[kind]
        return f"expects {limit} {pluralize(context[key], 'character')}", None
    if kind in _LIMITS:
        return f"expects {_LIMITS[kind].format(**context)}", None
    if kind in ("value_error", "assertion_error"):
        cause = context["error"]
        return str(cause), getattr(cause, "hint", None)
    return error["msg"][:1].lower() + error["msg"][1:], None


def _likeliest(expected: str, value: object) -> str | None:
    """Return a hint with the expected word that is closest to `value`."""
    candidates = re.findall("'([^']*)'", expected)
    return suggestion(value.lower(), candidates, "") or None if isinstance(value, str) else None


def _retyped(expected: str, value: object) -> str | None:
    """Return how to write a value of the expected type; never the value, which may be secret."""
    if expected == "a text" and isinstance(value, (bool, int, float)):
        return (
            f"YAML reads this as a {'boolean' if isinstance(value, bool) else 'number'}: put it in"
            " quotes"
        )
    if expected == "`true` or `false`" and isinstance(value, str):
        meant = _YES.get(value.lower())
        return f"write `{meant}`: in YAML 1.2 `{value}` is a text" if meant else None
    if expected in ("a whole number", "a number") and isinstance(value, str):
        return "decimal digits without quotes, without a leading zero"
    if expected == "a list" and isinstance(value, (str, int, float, Mapping)):
        return "a list of one: `- item` on a line of its own, or `[item]`"
    if expected == "a mapping" and value is not None:
        return "keys with their values: `key: value` on a line of its own, or `{key: value}`"
    return (
        "nothing stands here: leave it out, or put a text in quotes"
        if expected == "a text" and value is None
        else None
    )
