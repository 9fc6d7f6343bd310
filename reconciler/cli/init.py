"""`reconciler init`: write manifests to start from, or what another tool's set-up amounts to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli import invocation, output, settings
from reconciler.cli.output import Layout, LayoutOption
from reconciler.errors import ManifestFaults, UsageFault
from reconciler.redaction import sanitize

if TYPE_CHECKING:
    from reconciler.plugin import Draft
    from reconciler.plugin.registry import Registry

NAME = "init"
FOLDER = "manifests"
TAKE_OVER = "take-over"

DirectoryArgument = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="Folder in which `manifests/` is made."),
]
FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="PATH",
        help="Description of another tool's set-up (a file or a folder) to translate.",
        show_default=False,
    ),
]
KindOption = Annotated[
    str | None,
    typer.Option(
        "--from-kind",
        metavar="KIND",
        help="The tool that `--from` describes.  [default: guessed]",
        show_default=False,
    ),
]
TypeOption = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="Type of the first repository.  [default: the one that has a start to offer]",
        show_default=False,
    ),
]


def command(  # noqa: PLR0917  # options of a command line
    directory: DirectoryArgument = Path(),
    source: FromOption = None,
    kind: KindOption = None,
    type: TypeOption = None,
    layout: LayoutOption = Layout.TABLE,
) -> int:
    """Write a folder of manifests that a team can start from.

    One remote, one repository and one publication, with comments, and the JSON Schema for editors.
    With `--from`: manifests that select what another tool's set-up selects; what has no equal is
    listed. Asks no remote, and refuses a folder `manifests` that holds something.
    """
    from reconciler.manifest import SCHEMA, manifest_text, schema, take_over_text
    from reconciler.scaffold import write_files

    registry = settings.registry()
    draft = _translated(registry, source, kind) if source else _starter(registry, type)
    texts = {
        f"{FOLDER}/{draft.name}.yaml": manifest_text(draft),
        f"{FOLDER}/{SCHEMA}": json.dumps(schema(registry), indent=2) + "\n",
    }
    if draft.take_over:
        texts[f"{TAKE_OVER}/{draft.name}.yaml"] = take_over_text(draft)
    written = write_files(texts, directory, within=(FOLDER, TAKE_OVER))
    _check(registry, draft, written)
    output.answer(
        layout, _answer(draft, written), lambda: _lines(draft, directory, [*map(str, written)])
    )
    return 0


def _starter(registry: Registry, type: str | None) -> Draft:
    """Return the start that the importer of a type offers. Raises UsageFault."""
    ids = registry.ids("importer")
    if type is not None and type not in ids:
        raise UsageFault(
            f"no importer `{type}` is installed", hint=f"installed: `{'`, `'.join(ids)}`"
        )
    for id in [type] if type is not None else ids:
        importer: Any = registry.importer(id).cls
        draft: Draft | None = importer.starter()
        if draft is not None:
            return draft
    raise UsageFault(
        f"the importer `{type}` has no start to offer" if type else "no importer has a start",
        hint="`manifests/` of the project's sources holds examples",
    )


def _translated(registry: Registry, path: Path, kind: str | None) -> Draft:
    """Return what the first importer makes of a description. Raises UsageFault, Malformed."""
    from reconciler.plugin import Description

    importers: list[Any] = [registry.importer(id).cls for id in registry.ids("importer")]
    kinds = sorted({name for importer in importers for name in importer.translates})
    known = f"`--from-kind {'|'.join(kinds)}` names the tool"
    if kind is not None and kind not in kinds:
        raise UsageFault(f"no importer reads descriptions of `{kind}`", hint=known)
    if not path.exists():
        raise UsageFault(f"`{path}` does not exist", hint="a file, or a folder of files")
    description = Description(path.resolve(), kind)
    for importer in importers:
        draft: Draft | None = importer.translate(description)
        if draft is not None:
            return draft
    raise UsageFault(f"`{path}` is no description that an importer knows", hint=known)


def _check(registry: Registry, draft: Draft, written: list[Path]) -> None:
    """Validate the manifests; take them away again where they are faulty. Raises ManifestFaults."""
    from reconciler import manifest

    limits = invocation.current().limits
    reach = replace(
        limits,
        paths=(*limits.paths, *map(os.path.realpath, [*draft.reads, *draft.take_over_reads])),
    )
    try:
        for folder in sorted({path.parent for path in written}):
            manifest.read([str(folder)], registry, limits=reach)
    except ManifestFaults:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _answer(draft: Draft, written: list[Path]) -> dict[str, Any]:
    return {
        "files": [str(path) for path in written],
        "remarks": [
            {
                "option": remark.option,
                "place": remark.place,
                "text": remark.text,
                "equal": "none" if remark.lost else "nearly",
            }
            for remark in draft.remarks
        ],
    }


def _lines(draft: Draft, directory: Path, written: list[str]) -> Iterator[str]:
    yield f"written: {', '.join(written)}"
    for lost, heading in ((True, "without an equal"), (False, "not quite the same")):
        remarks = [remark for remark in draft.remarks if remark.lost is lost]
        if remarks:
            yield ""
            yield f"{heading}:"
        for remark in remarks:
            place = f" ({remark.place})" if remark.place else ""
            yield sanitize(f"  {remark.option}{place}: {remark.text}")
    yield ""
    yield "next:"
    commands = dict(_next(draft, directory))
    width = max(map(len, commands))
    for text, comment in commands.items():
        yield f"  {text.ljust(width)}  # {comment}"


def _next(draft: Draft, directory: Path) -> Iterator[tuple[str, str]]:
    """Yield the commands that follow, each with its purpose."""
    manifests = _named(directory / FOLDER, draft.reads)
    if draft.take_over:
        once = _named(directory / TAKE_OVER, draft.take_over_reads)
        yield f"reconciler apply {once}", "once: the bytes that are on disk"
    yield f"reconciler plan {manifests}", "the difference, with reasons"
    yield f"reconciler apply {manifests}", "carries it out"
    if draft.take_over:
        command = f"reconciler apply {manifests} --prune --allow-destroy"
        yield command, "ends what was applied once"
    yield "reconciler serve", "publications over HTTP"


def _named(folder: Path, reads: Sequence[str]) -> str:
    """Return a folder of manifests, and what these may read."""
    allowed = "".join(f" --allow-path {quote(path)}" for path in reads)
    return f"{quote(str(folder))}{allowed}"
