"""Messages, word for word."""

from __future__ import annotations

import pytest

from reconciler.errors import ManifestFaults
from reconciler.manifest import read
from tests.manifest.conftest import GOLDEN
from tests.support.quotes import registry


@pytest.mark.parametrize("name", ["values", "links"])
def test_every_fault_is_reported_in_one_run_word_for_word(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(GOLDEN)
    with pytest.raises(ManifestFaults) as refused:
        read([f"{name}.yaml"], registry())
    assert f"{refused.value}\n" == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_no_message_repeats_a_secret() -> None:
    assert "hunter2" in (GOLDEN / "values.yaml").read_text(encoding="utf-8")
    with pytest.raises(ManifestFaults) as refused:
        read([GOLDEN / "values.yaml"], registry())
    assert "hunter2" not in repr(refused.value.faults)
    assert "hunter2" not in str(refused.value)
