"""From a repository version to what clients are served.

Comes in: a publication, the recorded state and the filters in force. Goes out: a complete
publication, the pointer to it, its exports, and one line that says what was done. Must never know:
plans as a whole, sources, how a version came to be.

Reading order: `release` (the steps, under the lease of the publication), `release_target` (what
should be served: version, withheld units, digest), `filter_evaluation` (what today's filters keep
out), `withheld_changes` (the same as rows of a plan, and for guards), `version_view` (a version as
publishers read it), `render` with `publish_conduit` (the publisher's call), `index_entries`,
`index_rendering` and `index_bodies` (indexes over a whole repository), `dropped_files` (what
stays reachable for a while), `exports` with `export_trees` and `export_paths` (static trees).
"""

__all__: list[str] = []
