"""Sources of a repository resolved into content changes.

Comes in: a repository, its sources, the latest version. Goes out: a spool of lines, with reasons.
Ownership of names is decided here and nowhere else; a failure is never an absence. Writes nothing.
"""

__all__: list[str] = []
