"""What `make demo` runs, with the loopback in the place of the real index."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.source import ROOT
from tests.support.upstream import Upstream, upstream


def demo(index: Upstream, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with places and proof of its own."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "manifests" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    manifest = folder / "01-mirror.yaml"
    text = (ROOT / "manifests" / manifest.name).read_text(encoding="utf-8")
    manifest.write_text(
        text.replace("index: pypi", f"url: {index.url}\n  retries: 0"), encoding="utf-8"
    )
    places = {
        "SCRATCH": ".demo",
        "HOME": ".demo/home",
        "SITE": ".demo/venv",
        "REPORT": ".demo/installed.json",
        "MANIFEST": manifest.name,
    }
    for name, place in places.items():
        monkeypatch.setattr(module, name, folder / place)
    monkeypatch.setattr(module, "PROOF", "import markdown_it_py; print(markdown_it_py.VERSION)")
    monkeypatch.setenv("RECONCILER_HOME", str(folder / "not-this-one"))
    return module


def test_the_demo_mirrors_serves_installs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with upstream() as index:
        for name in ("annotated-types", "idna", "mdurl", "typing-extensions"):
            index.release(name, "4.16")
        index.release("markdown-it-py", "4.2.0")
        index.release("packaging", "26.2")
        assert demo(index, tmp_path, monkeypatch).main() == 0
    said = capfd.readouterr().out
    assert "python says: 4.2.0" in said
    assert "pip installed        markdown-it-py 4.2.0, packaging 26.2" in said
    assert "version 1, " in said
    assert "its digest           sha256:" in said
    assert not (tmp_path / "not-this-one").exists()


def test_a_step_that_fails_ends_the_demo_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with upstream() as index:
        script = demo(index, tmp_path, monkeypatch)
        monkeypatch.setattr(script, "demo", lambda: script.install(index.url))  # without the rest
        assert script.main() == 1
    assert "The demo stopped: pip could not install from the served index" in capfd.readouterr().err
