"""Checks of the folder of the state, before anything in it is opened: each fault in one message."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from reconciler.errors import StateFault

IGNORE = ".gitignore"  # keeps database and key out of commits; a committed home is refused
MADE_BY_PLANS = {"cache"}  # a folder that holds anything else may be more than a home
CHOOSE = "`--home` or `RECONCILER_HOME` names another folder"


def check_folder(root: Path, *, writes: bool) -> None:
    """Check that a home can be used, if it exists. Raises StateFault."""
    try:
        if root.is_dir():
            _check_access(root, writes=writes)
        elif os.path.lexists(root):
            what = "a link that leads nowhere" if root.is_symlink() else "a file"
            raise StateFault(f"the home `{root}` is {what}, and no folder", hint=CHOOSE)
        elif not (above := _nearest(root)).is_dir():
            raise StateFault(f"the home `{root}` lies below `{above}`, a file", hint=CHOOSE)
        elif writes:
            root.mkdir(parents=True, exist_ok=True)
        if writes and {*os.listdir(root)} <= MADE_BY_PLANS:
            (root / IGNORE).write_text("*\n", encoding="ascii")
    except OSError as error:
        raise StateFault(
            f"the home `{root}` cannot be {'made' if writes else 'read'}: {error.strerror}"
            f"{belongs(_nearest(root))}",
            hint=CHOOSE,
        ) from None


def belongs(path: Path) -> str:
    """Return whom a file belongs to, if not to this user: `; it belongs to root, this is ci`."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return ""
    user = os.geteuid()
    return "" if owner == user else f"; it belongs to {_name(owner)}, this is {_name(user)}"


def _check_access(root: Path, *, writes: bool) -> None:
    mode = os.R_OK | os.X_OK | (os.W_OK if writes else 0)
    for path in (root, *(root / name for name in ("state.db", "store", "key", "cache", "work"))):
        wanted = mode if path.is_dir() else mode & ~os.X_OK
        if os.path.lexists(path) and not os.access(path, wanted):
            verb = "written" if os.access(path, wanted & ~os.W_OK) else "read"
            raise StateFault(
                f"the home `{root}` cannot be used: `{path}` cannot be {verb}{belongs(path)}",
                hint=f"run as its owner, or change its mode; or {CHOOSE}",
            )


def _nearest(path: Path) -> Path:
    """Return the nearest folder above a path that exists."""
    return next((parent for parent in (path, *path.parents) if os.path.lexists(parent)), path)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
