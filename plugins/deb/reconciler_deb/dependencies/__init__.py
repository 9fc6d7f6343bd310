"""Dependencies: what the packages that a source takes depend on, within its suites.

Comes in: a listing, and what decides whether a unit comes in. Goes out: the packages taken, with
the reason. Must never know: how archives are read, what is published.
"""

__all__: list[str] = []
