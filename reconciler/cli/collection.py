"""`reconciler gc`: remove bytes that no version needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import output, settings
from reconciler.cli.output import Layout, LayoutOption
from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from reconciler.engine.integrity.collection import Collected

NAME = "gc"


def command(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")
    ] = False,
    grace: Annotated[
        str,
        typer.Option(
            "--grace",
            metavar="DURATION",
            help="How long bytes stay after they were last written or relied on.",
        ),
    ] = "1d",
    allow_destroy: Annotated[
        bool,
        typer.Option(
            "--allow-destroy",
            help="Remove files although the database knows nothing of most of them.",
        ),
    ] = False,
    lock_timeout: settings.LockTimeoutOption = "0",
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Remove files and pages that no version needs, and leftovers of runs that were killed.

    Every version stays, and every file that one holds. May run beside applies and servers: what
    they have begun to rely on stays. With a grace of less than a minute, take no uploads meanwhile.
    """
    import dataclasses

    from reconciler.plugin.options import OptionFault, parse_duration

    try:
        duration = parse_duration(grace)
    except OptionFault as fault:
        raise UsageFault(f"`--grace {grace}`: it {fault}", hint=fault.hint) from None
    settings.existing_home(home)
    result = settings.run_engine(
        home,
        settings.registry(),
        lambda engine: engine.collect(grace=duration, dry_run=dry_run, allow_destroy=allow_destroy),
        lock_timeout=lock_timeout,
    )
    answer = {"dryRun": dry_run, **dataclasses.asdict(result)}
    answer["damagedSize"] = answer.pop("damaged_size")
    output.answer(layout, answer, lambda: lines(result, dry_run=dry_run))
    return 0


def lines(result: Collected, *, dry_run: bool) -> list[str]:
    """Return a line for each kind of thing that there was."""
    from reconciler.model import pluralize

    verb = "would be removed" if dry_run else "removed"
    unneeded = "that no version needs"
    rows = [
        (result.files, "file", f"{unneeded}: {result.size:,} bytes {verb}"),
        (result.damaged, "damaged file", f"set aside: {result.damaged_size:,} bytes {verb}"),
        (result.pages, "page", f"that no publication shows: {verb}"),
        (result.parts, "part", f"of pages that no publication shows: {verb}"),
        (result.leftovers, "leftover", f"of runs that ended: {verb}"),
        (result.young, "file", f"{unneeded}: kept, too young"),
    ]
    said = [f"{pluralize(number, noun)} {what}" for number, noun, what in rows if number]
    nothing = "nothing would be removed" if dry_run else "nothing to remove"
    gone = any(number for number, _, _ in rows[:-1])
    return said if gone else [*said, nothing]
