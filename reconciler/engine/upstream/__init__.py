"""Files that versions hold and the store does not: asked of remotes for clients, or ahead of time.

Comes in: a repository as the last apply recorded it, and digests. Goes out: verified bytes, to a
client and into the store. Must never know: how a client asks, what a file is.

Reading order: `file_places` (which remotes may be asked, and where they have a file), then
`relayed_files` (for clients) and `fetching_ahead`.
"""

__all__: list[str] = []
