"""Requirements files as a test writes them, and what is read of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.plugin import Artifact
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.requirements.requirements import ProjectRequirement, Requirements

A, B, C = (letter * 64 for letter in "abc")
LINUX = {"python_version": "3.12", "sys_platform": "linux"}
WINDOWS = {"python_version": "3.9", "sys_platform": "win32"}


def options(folder: Path, *entries: Any, recorded: bool = False, **keys: Any) -> SelectionOptions:
    context = {"folder": str(folder), "recorded": recorded}
    return SelectionOptions.model_validate({"requirements": list(entries), **keys}, context=context)


def asked(
    folder: Path, text: str | bytes, name: str = "requirements.txt", **keys: Any
) -> Requirements:
    """Return the requirements of a file with this text."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    entry: dict[str, Any] = {
        "file": name,
        **{key: keys.pop(key) for key in ("unresolvable", "format") if key in keys},
    }
    return options(folder, entry, **keys).required


def texts(requirements: Requirements) -> list[str]:
    return [
        requirement.text
        for project in requirements.projects()
        for requirement in requirements.for_project(project)
    ]


def faults(
    folder: Path, text: str | bytes, name: str = "requirements.txt", **keys: Any
) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        asked(folder, text, name, **keys)
    return [str(error["ctx"]["error"]) for error in refused.value.errors()]


def fault(folder: Path, text: str | bytes, name: str = "requirements.txt", **keys: Any) -> str:
    [only] = faults(folder, text, name, **keys)
    return only


def only(requirements: Requirements, project: str = "foo") -> ProjectRequirement:
    [wanted] = requirements.for_project(project)
    return wanted


def matches(
    requirements: Requirements,
    version: str,
    sha256: str = A,
    *,
    project: str = "foo",
    filename: str = "",
) -> bool:
    filename = filename or f"{project}-{version}-py3-none-any.whl"
    return any(
        requirement.matches(version, filename, [Artifact(filename, sha256)])
        for requirement in requirements.for_project(project)
    )
