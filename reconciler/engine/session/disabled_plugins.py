"""Recorded resources that cannot be used today.

Their plugin is gone, disabled, or has other keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.errors import Fault, Temporary
from reconciler.model import Ref

Faults = Mapping[Ref, Sequence[Fault]]


def unusable_error(faults: Faults, ref: Ref) -> Temporary | None:
    """Return why a recorded resource cannot be used, as a Temporary error, or None if it can.

    Temporary, because nothing that was recorded is lost: it works again with its plugin.
    """
    own = faults.get(ref)
    if not own:
        return None
    hint = next((fault.hint for fault in own if fault.hint), None)
    return Temporary(
        f"{ref.kind.value.lower()} `{ref.name}` cannot be used: {'; '.join(_reasons(faults, ref))}",
        hint=hint,
    )


def _reasons(faults: Faults, ref: Ref) -> Iterator[str]:
    """Yield the faults of a resource, and those of the resources that it refers to."""
    for fault in faults[ref]:
        other = next(
            (
                candidate
                for candidate in faults
                if candidate != ref and fault.message.startswith(f"`{candidate}` ")
            ),
            None,
        )
        yield (
            f"{fault.message}: {'; '.join(cause.message for cause in faults[other])}"
            if other is not None
            else fault.message
        )
