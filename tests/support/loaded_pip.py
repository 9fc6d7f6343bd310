"""pip, with all that it imports to install and to download, and what it asks of the machine.

Imported by the process that others are forked off.
"""

from __future__ import annotations

from pip._internal.commands import create_command
from pip._vendor import distro

for _name in ("download", "freeze", "install"):
    create_command(_name)
distro.info()  # it asks `lsb_release` once in each process
