"""What somebody requires: files that name it, and the packages themselves.

requirement_sources  requirement and lock files as an option, read once (requirement_lines,
requirement_files, lock_files) requirements ....... what they ask for
(requirement_checks: what the index does not have of it) closure ............ `dependencies`: what
everything requires, wave by wave (roots, demands) environments ....... marker environments, and
whether a marker holds in one
"""

__all__: list[str] = []
