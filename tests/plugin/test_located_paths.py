"""Files that manifests name count as configuration by their content, which bounds their size.

Kind: a digest of whatever a path leads to, so that one sparse file keeps every plan of a site
waiting.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from reconciler.plugin import LocatedPath, Options
from reconciler.plugin.options import LARGEST_FILE


class Named(Options):
    file: LocatedPath


def read(folder: Path, **context: object) -> Named:
    return Named.model_validate({"file": "names"}, context={"folder": str(folder), **context})


def enlarge(path: Path) -> None:
    """Make a sparse file that is one byte too large."""
    path.touch()
    os.truncate(path, LARGEST_FILE + 1)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    enlarge(tmp_path / "names")
    with pytest.raises(ValidationError, match="1,073,741,825 bytes"):
        read(tmp_path)


def test_one_that_has_grown_since_it_was_recorded_is_named_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text("django\n", encoding="utf-8")
    named = read(tmp_path)
    before = named.model_dump()["file"]
    assert before.startswith("names sha256:")
    enlarge(path)
    assert named.model_dump()["file"] == "names 1073741825 bytes"
    assert read(tmp_path, recorded=True).model_dump()["file"] == "names 1073741825 bytes"
