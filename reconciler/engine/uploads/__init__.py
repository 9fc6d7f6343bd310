"""Uploads: files received from people and CI, and uploaded units removed by hand.

Comes in: a file with the name of the uploader, or keys to remove. Goes out: one new version, and
the publications that show it. Uploaders are authenticated, the owner of the name and the same
selection as in a sync decide about admission. Must never know: HTTP, any packaging format.

Reading order: `group_commits` (from a request to its version), `receiving` (the decision about one
upload), `plugin_results` and `conduits` (what plugins are handed and return), `admission`,
`removals`, `removed_names`, `recording` (decided changes, as one version), `marking` (yanks and the
like), `management` (marks and removals over HTTP).
"""

__all__: list[str] = []
