"""`reconciler verify`: read everything that is stored and compare it with its digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli import output, settings
from reconciler.cli.names import completer, only_ref
from reconciler.cli.output import Layout, LayoutOption

if TYPE_CHECKING:
    from reconciler.engine.integrity.verification import DamagedFile, Verification
    from reconciler.model import Ref

NAME = "verify"


ScopeArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KIND/NAME",
        autocompletion=completer(),
        help="A repository or publication, for instance repository/team.  [default: everything]",
        show_default=False,
    ),
]


def command(
    resource: ScopeArgument = None,
    *,
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Read every stored file and page, and compare each with its digest.

    Exits with 0 when all are sound and with 1 when something is missing or damaged; what is found
    is recorded, and the next apply, or `reconciler repair`, fetches it again.
    """
    parsed = scope(resource)
    settings.existing_home(home)
    registry = settings.registry()
    result = settings.run_engine(home, registry, lambda engine: engine.verify(parsed))
    output.answer(layout, document(result), lambda: [*damage_lines(result), summary(result)])
    for hint in hints(result):
        output.note(f"  hint: {hint}")
    return 0 if result.sound else 1


def hints(result: Verification) -> list[str]:
    """Return what to do about damage: no source has what was uploaded."""
    uploaded = [file.uploaded for file in result.damaged_files]
    said = []
    if not all(uploaded):
        said.append("`reconciler repair`, or the next apply, fetches damaged files again")
    if any(uploaded):
        said.append("no source has a file that was uploaded: upload it again")
    if result.damaged_pages:
        said.append("`reconciler repair` renders damaged pages anew")
    return said


def scope(words: list[str] | None) -> Ref | None:
    """Parse KIND/NAME or KIND NAME; None stands for everything."""
    return only_ref(words) if words else None


def damage_lines(result: Verification) -> list[str]:
    """Return a line for each use of a damaged file, and for each damaged page."""
    lines = [f"{place}: {file.problem}" for file in result.damaged_files for place in places(file)]
    return lines + [
        f"publication/{page.publication}: page `{page.path}`: {page.problem}"
        for page in result.damaged_pages
    ]


def places(file: DamagedFile) -> list[str]:
    """Return where a file is used; its digest if it is no longer."""
    uses = [f"repository/{use.repository}: `{use.path}`" for use in file.uses]
    return list(dict.fromkeys(uses)) or [f"{file.digest} (no version needs it)"]


def summary(result: Verification) -> str:
    """Return the last line."""
    from reconciler.model import pluralize

    damaged = len(result.damaged_files) + len(result.damaged_pages)
    read = f"{pluralize(result.files, 'file')} ({result.size:,} bytes)"
    read += f" and {pluralize(result.pages, 'page')} read"
    return f"Verify: {read}, " + (f"{damaged} damaged." if damaged else "all sound.")


def document(result: Verification) -> dict[str, Any]:
    """Return the result as `docs/reference/machine-output.md` describes it."""
    return {
        "sound": result.sound,
        "files": result.files,
        "bytes": result.size,
        "pages": result.pages,
        "damagedFiles": [
            {
                "digest": str(file.digest),
                "problem": file.problem,
                "uses": [
                    {
                        "repository": use.repository,
                        "group": use.group,
                        "source": use.source,
                        "path": use.path,
                    }
                    for use in file.uses
                ],
            }
            for file in result.damaged_files
        ],
        "damagedPages": [
            {"publication": page.publication, "path": page.path, "problem": page.problem}
            for page in result.damaged_pages
        ],
    }
