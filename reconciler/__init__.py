"""GitOps for package repositories: plan the difference, apply it, record it, serve it.

The rooms, from the ground up: `errors`, `model`; then `plugin`, `store`, `database`, `remote`,
`plan`, `manifest`; `engine` joins them; `serve` and `cli` face the world.
docs/explanation/architecture.md walks one change through all of them.
"""

__version__ = "0.1.0"
