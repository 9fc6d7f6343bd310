"""Release files: what a suite says of itself, who signed it, and whether it is fresh.

Comes in: `InRelease`, or `Release` and `Release.gpg`, and the keys that a manifest names. Goes out:
a `Release` that may be believed, or an error that names the key or the date. Must never know:
packages, units, selection.
"""

__all__: list[str] = []
