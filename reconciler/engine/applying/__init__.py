"""A plan is carried out.

Comes in: a `WritingSession`, the very `Plan` that was shown, and the desired state. Goes out: a
`Report` with one outcome for each resource. Must never know: how the plan was made, manifests'
syntax, any packaging format.

Reading order: `executor` (the order of everything), `schedule` (which changes are carried out, and
what waits for what), `repository_sync` with `content_sync` and `staging` (content of one
repository becomes a version), `publication_release` (a version is served), `deletions` (what goes,
last), `resource_records` (what is recorded as declared), `report`.
"""

__all__: list[str] = []
