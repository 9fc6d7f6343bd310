"""Groups that a manifest names and that upstream took away: what is reported of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.errors import Gone, Withdrawn
from reconciler.model import Source, pluralize
from reconciler.plan import NAMED_PROJECT_GONE, Failure, GroupMember

_APPROVE = (
    "approve of the removal by `guard.namedProjects: allow`, by the annotation"
    " `reconciler/allow-removals-until`, or for this run by `--allow-destroy`; or no longer name it"
)


def is_failed_absence(response: SourceResponse) -> bool:
    """Return True for a failure that upstream caused by no longer having the group.

    The manifest asks for something of it, so that the absence is an error of its own.
    """
    cause = response.failure.__cause__ if response.failure is not None else None
    return isinstance(cause, Gone) and not isinstance(cause, Withdrawn)


def taken_away(source: Source, response: SourceResponse, members: Sequence[GroupMember]) -> Failure:
    """Return the failure of a group that stays although upstream no longer has it."""
    why = response.gone or "its page lists no file"
    message = f"upstream took it away ({why}); {_kept(source, members)}"
    return Failure(source.id, response.name, message, _APPROVE, NAMED_PROJECT_GONE)


def required_taken_away(
    source: Source, failure: Failure, members: Sequence[GroupMember]
) -> Failure:
    """Return `failure` as that of a group which upstream took away.

    Approval of a removal does not help: what the manifest asks for would still be missing.
    """
    message = f"{failure.message}; upstream took it away, {_kept(source, members)}"
    return dataclasses.replace(failure, message=message, cause=NAMED_PROJECT_GONE)


def _kept(source: Source, members: Sequence[GroupMember]) -> str:
    held = sum(member.source == source.id for member in members)
    place = source.locations.find(())
    return (
        f"{pluralize(held, 'unit')} of it {'is' if held == 1 else 'are'} kept, since the manifest"
        " names it" + (f" ({place})" if place else "")
    )
