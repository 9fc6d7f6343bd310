"""`reconciler fetch`: bring files into the store that an apply left upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli import output, settings
from reconciler.cli.names import completer, take_holder
from reconciler.cli.output import Layout, LayoutOption

if TYPE_CHECKING:
    from reconciler.engine.upstream.fetching_ahead import FetchReport

NAME = "fetch"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="REPOSITORY|KIND/NAME [NAME...]",
            help="A repository, or a publication for what it shows; then globs of projects or"
            " files, in quotes.",
            autocompletion=completer(),
        ),
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how much is missing, and fetch nothing.")
    ] = False,
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Fetch files that are left upstream (`policy: on-demand`) before a client asks for them.

    Works on what the last apply recorded, verifies every file, and changes no version. What is
    there already is not asked for again: a run that was interrupted goes on where it ended. Exits
    with 0 when all are there, with 1 when some could not be had: it names each and the reason.
    """
    from reconciler.manifest import read_recorded

    ref, names = take_holder(words)
    settings.existing_home(home)
    registry = settings.registry()
    report = settings.run_engine(
        home,
        registry,
        lambda engine: engine.fetch(
            ref,
            names,
            lambda actual: read_recorded(actual, registry, ()).desired,
            dry_run=dry_run,
        ),
        lock_timeout="0",
    )
    output.answer(
        layout,
        _document(report),
        lambda: [*report.warnings, *_failures(report), _summary(report, dry_run=dry_run)],
    )
    if report.failed:
        output.note("  hint: what came is kept; the same command asks for the others again")
    return 1 if report.failed else 0


def _document(report: FetchReport) -> dict[str, Any]:
    """Return the report as `docs/reference/machine-output.md` describes it."""
    return {
        "repository": report.repository,
        "present": report.present,
        "missing": report.missing,
        "bytesMissing": report.missing_size,
        "fetched": report.fetched,
        "bytes": report.size,
        "streamed": report.streamed,
        "warnings": report.warnings,
        "failed": [
            {
                "group": file.group,
                "path": file.path,
                "digest": str(file.digest),
                "reason": reason,
            }
            for file, reason in report.failed
        ],
    }


def _failures(report: FetchReport) -> list[str]:
    return [
        f"repository/{report.repository}: `{file.path}` cannot be fetched: {reason}"
        for file, reason in report.failed
    ]


def _summary(report: FetchReport, *, dry_run: bool) -> str:
    from reconciler.model import pluralize, size_text

    if dry_run:
        text = f"Fetch: {pluralize(report.missing, 'file')}"
        text += f" ({size_text(report.missing_size)}) missing, " if report.missing else " missing, "
    else:
        text = f"Fetch: {pluralize(report.fetched, 'file')}"
        text += f" ({size_text(report.size)}) fetched, " if report.fetched else " fetched, "
    text += f"{report.present} there already"
    if report.streamed:
        text += f", {report.streamed} never stored (`policy: streamed`)"
    return text + (f", {len(report.failed)} failed." if report.failed else ".")
