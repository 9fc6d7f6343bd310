"""Reading manifests with one plugin installed: `quotes`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import Fault, ManifestFaults
from reconciler.manifest import read
from reconciler.model import DesiredState
from reconciler.reach import Limits
from tests.support.quotes import registry

ANYWHERE = Limits(paths=("/",))
GOLDEN = Path(__file__).parent.parent / "golden" / "manifest"
HEAD = "apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
Reading = Callable[[str], DesiredState]
Refusal = Callable[[str | bytes], list[Fault]]


def manifest(kind: str, spec: str, name: str = "it") -> str:
    """Return the text of one resource."""
    return HEAD.format(kind=kind, name=name, spec=spec)


@pytest.fixture
def sound() -> DesiredState:
    """Return what the golden manifest of every kind with every key asks for."""
    return read([GOLDEN / "sound.yaml"], registry(), limits=ANYWHERE)


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    """Return a function that reads a valid text."""

    def state(text: str) -> DesiredState:
        (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
        return read([tmp_path / "m.yaml"], registry(), limits=ANYWHERE)

    return state


@pytest.fixture
def refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refusal:
    """Return a function that reads a faulty text and returns its faults; places say `m.yaml`."""
    monkeypatch.chdir(tmp_path)

    def faults(text: str | bytes) -> list[Fault]:
        Path("m.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ManifestFaults) as refused:
            read(["m.yaml"], registry(), limits=ANYWHERE)
        return list(refused.value.faults)

    return faults
