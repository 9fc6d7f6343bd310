"""The command line: one verb per module; each parses, calls the engine and prints.

Comes in: words, flags, environment, `reconciler.toml`. Goes out: text or one JSON document on
stdout, everything else on stderr, and the exit code: 0 = done, 1 = error (usage errors too), 2 =
changes pending (`--detailed-exitcode`). Must never know: how anything is done.

Only `output` prints. Heavy rooms are imported inside the commands that need them, so that `--help`
starts quickly.
"""

from reconciler.cli.main import main

__all__ = ["main"]
