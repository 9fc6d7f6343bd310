"""Print the tests of what differs from `main`, one path a line: what `make test-quick` runs.

A changed test file is run itself, a changed source file means the tests of its room. The tests of
the architecture always run.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = ("tests/architecture",)
SLOW = ("tests/e2e", "tests/faults", "tests/benchmarks")


def main() -> None:
    """Print the paths, sorted; folders before what lies in them."""
    selected = set(ALWAYS)
    for path in changed_files():
        selected.update(tests_of(path))
    for path in sorted(path for path in selected if (ROOT / path).exists()):
        if not any(path != folder and path.startswith(f"{folder}/") for folder in selected):
            print(path)


def changed_files() -> list[str]:
    """Return the files that differ from the point where this branch left `main`, and new ones."""
    base = git("merge-base", "HEAD", "origin/main") or git("merge-base", "HEAD", "main") or ["HEAD"]
    return [
        *git("diff", "--name-only", base[0]),
        *git("ls-files", "--others", "--exclude-standard"),
    ]


def git(*words: str) -> list[str]:
    """Return the lines that git prints; none where it fails."""
    finished = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return finished.stdout.splitlines() if finished.returncode == 0 else []


def tests_of(path: str) -> Iterator[str]:
    """Yield the tests to run for one changed file."""
    parts = Path(path).parts
    if path.endswith(".md"):
        yield from ("tests/docs/test_links.py", "tests/docs/test_examples.py")
    elif path.startswith("tests/"):
        if Path(path).name.startswith("test_") and not path.startswith(SLOW):
            yield path
    elif path.startswith("reconciler/engine/"):
        yield f"tests/engine/{parts[2]}" if len(parts) > 3 else "tests/engine"
    elif path.startswith("reconciler/plugin/testing/"):
        yield "tests/kit"
    elif path.startswith("reconciler/") and len(parts) == 2:
        yield from ("tests/ground", "tests/logs", "tests/model")
    elif path.startswith(("reconciler/", "plugins/")) and len(parts) > 2:
        yield f"tests/{parts[1]}"


if __name__ == "__main__":
    main()
