"""Archives: from a suite's Release over its indexes to the units of a package.

Comes in: pages and files of an archive. Goes out: listings by package name, and units. Must never
know: options of a manifest, selection, publishing.
"""

__all__: list[str] = []
