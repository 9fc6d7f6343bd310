"""The plan of a run: desired state, actual state and resolved content become one `Plan`.

Comes in: `DesiredState`, `ActualState` and a session that can only read. Goes out: a `Plan`,
guarded. Must never know: how a plan is printed or carried out.

Reading order: `planner` (the whole), `repository_changes` and `publication_changes` (content and
versions), `planned_deletions` with `single_source_artifacts` and `kept_resources` (what is pruned,
and what must stay).
"""

__all__: list[str] = []
