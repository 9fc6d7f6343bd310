"""Write manifests: plain data to YAML that people edit, with comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

import yaml

from reconciler.manifest.kinds import API
from reconciler.plugin.drafts import Draft, DraftResource
from reconciler.redaction import sanitize

SCHEMA = "manifest.schema.json"

_EDITOR = f"# yaml-language-server: $schema={SCHEMA}"
_ONCE = "To be applied once: the bytes that are on disk already, so that no sync downloads them."
_WIDTH = 118
_LONGEST_COMMENT = 2_000  # characters: descriptions of others are quoted in them


def manifest_text(draft: Draft) -> str:
    """Return a file with the resources of a draft. What has no equal stands in its head."""
    head = [_EDITOR, *_comment(draft.title)]
    if draft.remarks:
        head += ["#", *_remark_lines(draft)]
    return _file(head, draft.resources)


def take_over_text(draft: Draft) -> str:
    """Return a file with the resources of a draft that are applied once."""
    return _file([*_comment(f"{_ONCE} {draft.title}")], draft.take_over)


def _file(head: Sequence[str], resources: Sequence[DraftResource]) -> str:
    documents = ["\n".join(_resource(resource)) for resource in resources]
    return "\n".join([*head, "", "\n---\n".join(documents), ""])


def _remark_lines(draft: Draft) -> Iterator[str]:
    for lost, heading in ((True, "Without an equal here:"), (False, "Not quite the same here:")):
        remarks = [remark for remark in draft.remarks if remark.lost is lost]
        if remarks:
            yield from _comment(heading)
        for remark in remarks:
            place = f" ({remark.place})" if remark.place else ""
            yield from _comment(f"{remark.option}{place}: {remark.text}", first="- ", later="  ")


def _resource(resource: DraftResource) -> Iterator[str]:
    if resource.comment:
        yield from _comment(resource.comment)
    yield f"apiVersion: {API}"
    yield f"kind: {resource.kind}"
    yield "metadata:"
    yield f"  name: {_scalar(resource.name)}"
    yield "spec:"
    yield from _mapping(resource.spec, 2, comments=resource.comments)


def _mapping(
    mapping: Mapping[str, Any], indent: int, *, comments: Mapping[str, str], path: str = ""
) -> Iterator[str]:
    for key, value in mapping.items():
        own = f"{path}{key}"
        start = f"{' ' * indent}{_scalar(key)}:"
        if isinstance(value, Mapping) and value:
            yield start + _end(comments, own)
            yield from _mapping(value, indent + 2, comments=comments, path=f"{own}.")
        elif isinstance(value, Sequence) and not isinstance(value, str) and value:
            yield start + _end(comments, own)
            yield from _items(value, indent + 2, comments=comments, path=own)
        else:
            yield f"{start} {_scalar(value)}{_end(comments, own)}"


def _items(
    items: Sequence[Any], indent: int, *, comments: Mapping[str, str], path: str
) -> Iterator[str]:
    for number, item in enumerate(items):
        own = f"{path}.{number}"
        if isinstance(item, Mapping) and item:
            lines = _mapping(item, indent + 2, comments=comments, path=f"{own}.")
            yield f"{' ' * indent}- {next(lines).lstrip()}"
            yield from lines
        else:
            yield f"{' ' * indent}- {_scalar(item)}{_end(comments, own)}"


def _scalar(value: Any) -> str:
    """Return a value on one line, quoted where YAML would read it as another."""
    text: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=False, width=float("inf"), sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...").rstrip()


def _end(comments: Mapping[str, str], path: str) -> str:
    return f" # {sanitize(comments[path], _WIDTH)}" if path in comments else ""


def _comment(text: str, *, first: str = "", later: str = "") -> Iterator[str]:
    """Yield lines of a comment; nothing in the text ends it."""
    for number, paragraph in enumerate(text.splitlines()):
        lines = wrap(
            sanitize(paragraph, _LONGEST_COMMENT),
            _WIDTH,
            initial_indent=later if number else first,
            subsequent_indent=later,
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from (f"# {line}" for line in lines or [""])
