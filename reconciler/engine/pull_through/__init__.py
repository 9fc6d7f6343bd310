"""Publications that take what they lack from a remote, when a client asks for it.

A miss is one group, read by the importer, decided by the selection and rendered by the publisher,
as in a sync. `pulling` decides when upstream is asked, `upstream_groups` asks it, `page_rendering`
renders, `versions` commits what came in, some groups at once, and `kept_files` limits what is kept.
"""

__all__: list[str] = []
