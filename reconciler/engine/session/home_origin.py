"""Origin of a home: a checkout brings one that a stranger may have made.

A home holds a database, bytes, pages and the key of secret fingerprints, all of which a run
believes. A pull request must not bring one along.
"""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.engine.run.git import ask_git
from reconciler.reach import links, work_tree


def is_tracked(home: Path) -> bool | None:
    """Return True if git tracks a home, anything below it, or a link on the way to it.

    None where that is unknown: no work tree holds it, or git cannot be asked.
    """
    path = os.path.abspath(home)
    places = [*(link for link, _ in links(path)), os.path.realpath(path)]
    answers = {_is_tracked(place) for place in places}
    if True in answers:
        return True
    return None if None in answers else False


def _is_tracked(place: str) -> bool | None:
    trees = {work_tree(place), work_tree(os.path.dirname(place))}  # a submodule is a tree itself
    answers = {_tracks(tree, place) for tree in trees if tree is not None}
    if True in answers:
        return True
    return False if answers == {False} else None


def _tracks(tree: str, place: str) -> bool | None:
    """Return True if a work tree has files at or below a place; None if git does not say."""
    within = [] if place == tree else [f":(literal,icase){os.path.relpath(place, tree)}"]
    listed = ask_git(Path(tree), "ls-files", "-z", "--", *within, trusted=True)
    return None if listed is None else bool(listed)
