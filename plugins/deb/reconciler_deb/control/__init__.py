"""Control data (deb822): paragraphs, versions, relations, and the control file within a `.deb`.

Comes in: bytes of an index or of a package. Goes out: paragraphs and their fields, values that
compare as dpkg compares them. Must never know: repositories, options, units.
"""

__all__: list[str] = []
