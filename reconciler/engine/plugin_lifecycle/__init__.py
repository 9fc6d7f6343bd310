"""Plugins attached to repositories and detached from them.

Validation of configurations before anything is stored, and the hooks `..._added` and
`..._removed`.
"""

__all__: list[str] = []
