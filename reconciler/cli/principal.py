"""The principal that local uploads are recorded under."""

from __future__ import annotations

import getpass
import socket


def principal() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
