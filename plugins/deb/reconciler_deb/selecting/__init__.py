"""Selection: which units come in, by the keys of a source and of filters, and why not.

Comes in: units of one package, options, filters, a moment. Goes out: decisions with reasons. Pure:
sync, upload, copy and publication ask the same code. Must never know: how archives are read.
"""

__all__: list[str] = []
