"""The plan of a run.

Desired state, actual state and resolved content become one `Plan`. Reads only.
"""

__all__: list[str] = []
