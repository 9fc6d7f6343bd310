"""Units as an index that clients install from.

rendering ........ units -> pages
simple_publisher . pages and files of a publication
"""

__all__: list[str] = []
