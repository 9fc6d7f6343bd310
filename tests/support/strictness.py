"""mypy as it is set up for this tree, on code that lies elsewhere: what it knows of us already
makes that a matter of a second.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.support.clients import program, run
from tests.support.source import ROOT


def check_types(files: Sequence[Path], roots: Sequence[Path], home: Path) -> None:
    """Fails with what mypy says of `files`. `roots`: folders that their imports begin at."""
    run([program("mypy"), *files], home, folder=ROOT, MYPYPATH=os.pathsep.join(map(str, roots)))
