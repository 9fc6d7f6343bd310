"""Explanations: why a file is in a repository, or not.

Comes in: a repository, and a subject such as a file or a project. Goes out: one document with what
is recorded, what each source says now, and the rule that decides. The code that decides is the one
of `sources`: ownership, selection and reading go the way of a plan, but nothing is compared and
nothing is recorded. Must never know: how a document is printed.
"""

__all__: list[str] = []
