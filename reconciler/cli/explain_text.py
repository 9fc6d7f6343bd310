"""The result of `explain` as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.model import YANK, pluralize
from reconciler.plan import version_sort_key

Entry = Mapping[str, Any]

FEW = 10  # held units that are listed one by one unless verbose

RESULTS = {
    "gone": "is gone: ",
    "failed": "cannot be read: ",
    "unknown": "unknown: ",
    "owned": "",
    "refused": "is refused whole: ",
}


def lines(answer: Entry, *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines of a result, without line ends.

    `verbose`: show each unit with its chain of rules, also for whole groups.
    """
    version = (
        f", version {answer['version']}" if answer["version"] is not None else ", not applied yet"
    )
    yield f"repository/{answer['repository']}{version}"
    if answer["by"] == "record":
        yield "  by what the last apply recorded"
    yield from _held(answer, verbose)
    for group in answer["groups"]:
        if group["owner"]:
            yield f"  `{group['name']}` belongs to {group['owner']}{_sharing(answer, group)}"
    yield from map(_mark, answer["marks"])
    yield from (
        f"  `{each['key']}` was removed by {each['by']}, {each['removedAt']}, and keeps its bytes"
        for each in answer["removed"]
    )
    for source in answer["sources"]:
        yield f"{source['source']}{': ' if source['message'] else ''}{source['message']}"
        for group in source["groups"]:
            yield from _bucket(group, answer) if answer["buckets"] else _group(group, verbose)
    yield from _listed_nowhere(answer)


def _held(answer: Entry, verbose: bool) -> Iterator[str]:
    held = answer["held"]
    if not held:
        yield f"  does not hold `{answer['subject']}`"
    if verbose or len(held) <= FEW:
        yield from (
            f"  holds `{unit['key']}` of {unit['source']}{_since(unit['since'])}" for unit in held
        )
        return
    counts: dict[str, int] = {}
    for unit in held:
        origin = f"of {unit['source']}{_since(unit['since'])}"
        counts[origin] = counts.get(origin, 0) + 1
    yield from (
        f"  holds {pluralize(number, 'unit')} {origin}" for origin, number in counts.items()
    )


def _mark(mark: Entry) -> str:
    """Return what the repository itself says of content."""
    said = "yanked" if mark["kind"] == YANK else f"marked `{mark['value']}`"
    by = f"by {mark['by']}, {mark['madeAt']}" if mark["by"] else "by the manifest"
    reason = f': "{mark["reason"]}"' if mark["reason"] else ""
    return f"  `{mark['what']}` is {said} {by}{reason}"


def _since(version: Entry | None) -> str:
    if version is None:
        return ""
    made = version["provenance"]
    by = made.get("principal") or (f"commit {made['commit']}" if made.get("commit") else "")
    return f" since version {version['number']}, {version['createdAt']}" + (
        f", by {by}" if by else ""
    )


def _sharing(answer: Entry, group: Entry) -> str:
    """Return a note on sources that add to a name that another source owns."""
    adding = [
        source["source"]
        for source in answer["sources"]
        for entry in source["groups"]
        if entry["name"] == group["name"]
        and entry["result"] == "answered"
        and source["source"] != group["owner"]
    ]
    return f"; {', '.join(adding)} may add to it" if adding else ""


def _group(group: Entry, verbose: bool) -> Iterator[str]:
    phrase = RESULTS.get(group["result"])
    number = len(group["units"]) + group["others"]
    yield (
        f"  `{group['name']}` {phrase}{group['message']}"
        if phrase is not None
        else f"  `{group['name']}` holds {pluralize(number, 'unit')}"
    )
    yield from _chain(group["chain"])
    if not group["units"] and group["others"]:
        yield f"    none of them matches the subject: explain `{group['name']}` to see them all"
    if group["whole"] and not verbose:
        yield from _rows(group["units"])
        return
    for unit in group["units"]:
        yield from _unit(unit)


def _bucket(group: Entry, answer: Entry) -> Iterator[str]:
    """Yield what is said of files in one tree; the names of its parts mean nothing to people."""
    if group["result"] in RESULTS:
        yield f"  `{answer['subject']}` {RESULTS[group['result']]}{group['message']}"
    elif not group["units"]:
        yield "  lists no such path"
    yield from _chain(group["chain"])
    for unit in group["units"]:
        yield from _unit(unit)


def _unit(unit: Entry) -> Iterator[str]:
    """Yield the verdict on a unit, and below it the verdict of each rule."""
    yield f"    {_sign(unit['accepted'])} {unit['key']}   {_verdict(unit) or 'in'}"
    yield from _chain(unit["chain"] or ())


def _chain(steps: Sequence[Entry]) -> Iterator[str]:
    for step in steps:
        yield f"        {_sign(step['passed'])} {_rule(step):<48} {step['place'] or ''}".rstrip()


def _rows(units: Sequence[Entry]) -> Iterator[str]:
    """Yield one row for all units of a release with the same decision."""
    places = {_why(unit): place for unit in units if (place := _refusing_place(unit))}
    table: dict[tuple[str, str, str], list[Entry]] = {}
    for unit in units:
        table.setdefault((unit["version"] or unit["key"], _verdict(unit), _why(unit)), []).append(
            unit
        )
    for (name, verdict, why), members in sorted(
        table.items(), key=lambda row: (version_sort_key(row[0][0]), row[0])
    ):
        kinds = ", ".join(sorted({unit["label"] for unit in members if unit["label"]}))
        files = pluralize(len(members), "file") if len(members) > 1 else ""
        parts = (name, kinds, files, verdict, places.get(why, "") if verdict else "")
        yield f"    {_sign(not verdict)} {'   '.join(part for part in parts if part)}"


def _verdict(unit: Entry) -> str:
    """Return why a unit is refused, or an empty text."""
    if unit["accepted"]:
        return ""
    return f"refused: {unit['reason']}" + (
        f", until {unit['reconsiderAt']}" if unit["reconsiderAt"] else ""
    )


def _why(unit: Entry) -> str:
    return unit["rule"] or unit["reason"]  # type: ignore[no-any-return]  # texts, both


def _refusing_place(unit: Entry) -> str | None:
    """Return the place of the rule whose words are the reason."""
    return next((step["place"] for step in unit["chain"] or () if not step["passed"]), None)


def _rule(step: Entry) -> str:
    """Return the words of a rule, with its Filter."""
    name = ".".join(str(part) for part in (step["filter"], *step["key"][:1]) if part)
    return (
        step["text"] if not step["filter"] or name in step["text"] else f"{step['text']} ({name})"
    )


def _listed_nowhere(answer: Entry) -> Iterator[str]:
    """Yield a line if no source lists the subject, once all sources have answered."""
    groups = [group for source in answer["sources"] for group in source["groups"]]
    answered = all(
        entry["result"] not in ("failed", "unknown", "refused")
        for entry in (*answer["sources"], *groups)
    )
    if not answered or any(group["units"] for group in groups):
        return
    elsewhere = [unit for unit in answer["held"] if unit["source"] != "upload"]
    if elsewhere or not answer["held"]:
        yield f"no source lists `{answer['subject']}`{' any more' if elsewhere else ''}"


def _sign(passed: bool) -> str:
    return "+" if passed else "!"
