"""Sources of a repository, resolved into content changes.

Comes in: a repository, its sources, the latest version. Goes out: a spool of lines, with reasons.
Writes nothing but caches. Must never know: how a change is carried out, any packaging format.

Reading order: `resolution` (all sources of a repository, one after the other) and
`repository_resolution` (what they yield), `ownership` (whose a name is; also for `explain` and
uploads), `source_resolver` (one source), the three kinds of source: `declared_source` with
`declarations` and `group_reading`, `recorded_source` with `sync_recording`, `repository_source`
with `copied_version`. Beneath them: `committed_state` (what is recorded), `selection` (what may
come in), `group_comparer` (what changes), `source_artifacts` (bytes), `spool` (where lines wait).

A failure is never an absence: a group that cannot be read keeps its content, a source that cannot
be asked removes nothing and keeps its names.
"""

__all__: list[str] = []
