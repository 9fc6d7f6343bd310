"""Output formats that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Layout(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


LayoutOption = Annotated[Layout, typer.Option("--output", "-o", help="How to print.")]
