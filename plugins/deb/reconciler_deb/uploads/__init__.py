"""Uploads: a `.deb` that was sent becomes a paragraph, and then a unit as if an archive listed it.

Comes in: a file, the fields of its form, the keys of an `upload` source. Goes out: a unit, or a
refusal that tells the sender why. Must never know: how archives are read, what is published.
"""

__all__: list[str] = []
