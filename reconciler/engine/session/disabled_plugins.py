"""What was recorded and cannot be understood today: its plugin is gone, disabled, or takes other
keys now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.errors import Temporary
from reconciler.model import Fault, Ref

Faults = Mapping[Ref, Sequence[Fault]]


def unusable_error(faults: Faults, ref: Ref) -> Temporary | None:
    """Why, as an error; None where nothing is wrong with it. It is temporary: nothing that was
    recorded is lost.
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
    """With what is wrong with another resource, where that is all that is wrong with this one."""
    for fault in faults[ref]:
        other = next(
            (one for one in faults if one != ref and fault.message.startswith(f"`{one}` ")), None
        )
        yield (
            f"{fault.message}: {'; '.join(each.message for each in faults[other])}"
            if other is not None
            else fault.message
        )
