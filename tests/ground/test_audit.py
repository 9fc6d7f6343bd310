"""The audit log: whole lines, no secret, and no end of serving where it cannot be written."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.audit import LONGEST, NO_AUDIT, AuditedFile, AuditEvent, AuditLog
from reconciler.errors import UsageFault
from reconciler.redaction import register_secret

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
EVENT = AuditEvent(event="upload", outcome="accepted", principal="ada")


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text("ascii")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_says_what_is_known_and_nothing_else(tmp_path: Path) -> None:
    AuditLog(tmp_path / "log", lambda: NOW).write(EVENT)
    assert lines(tmp_path / "log") == [
        {
            "time": "2026-11-22T09:30:00.000Z",
            "event": "upload",
            "outcome": "accepted",
            "principal": "ada",
            "process": os.getpid(),
        }
    ]


def test_hostile_texts_stay_on_their_line_without_secrets_and_within_bounds(
    tmp_path: Path,
) -> None:
    register_secret("correct-horse-battery")
    name = 'a"\n{"event":"upload"}\x1b[31m\x7f\u202e\x85correct-horse-battery\ud800'
    hostile = (AuditedFile(name, 1, "0" * 64), *[AuditedFile("b" * 9000, 1, "")] * 99)
    event = AuditEvent(event="upload", outcome="refused", path="/" * 9000, files=hostile)
    AuditLog(tmp_path / "log").write(event)
    raw = (tmp_path / "log").read_bytes()
    assert raw.count(b"\n") == 1
    assert all(0x20 <= byte < 0x7F for byte in raw[:-1])
    [line] = lines(tmp_path / "log")
    assert line["files"][0]["name"] == name.replace("correct-horse-battery", "***")
    assert (len(line["files"]), line["path"]) == (20, "/" * LONGEST + "...")


def test_several_writers_never_tear_a_line(tmp_path: Path) -> None:
    logs = [AuditLog(tmp_path / "log") for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        for turn in range(200):
            pool.submit(logs[turn % 4].write, EVENT)
    assert len(lines(tmp_path / "log")) == 200


@pytest.mark.parametrize("moved", ["renamed", "removed", "truncated"])
def test_the_file_is_opened_again_after_rotation(moved: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AuditLog(path)
    log.write(EVENT)
    if moved == "renamed":
        path.rename(tmp_path / "log.1")
    elif moved == "removed":
        path.unlink()
    else:
        os.truncate(path, 0)
    log.write(EVENT)
    log.close()
    assert len(lines(path)) == 1


def test_a_full_disk_stops_nothing_and_is_told_once_and_in_the_log_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    log = AuditLog(path)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            log.write(EVENT)
    [record] = caplog.records
    assert "No space left on device" in record.getMessage()
    path.unlink()
    log.write(EVENT)
    lost, event = lines(path)
    assert (lost["event"], lost["reason"], lost["lost"]) == ("audit", "lines-lost", 3)
    assert event["event"] == "upload"


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(tmp_path / "log")
    log.write(EVENT)
    whole = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: whole(descriptor, data[:9]))
        log.write(EVENT)
    log.write(EVENT)
    assert [line["event"] for line in lines(tmp_path / "log")] == ["upload", "audit", "upload"]


def test_a_log_that_cannot_be_opened_is_a_fault_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="cannot be written: No such file") as caught:
        AuditLog(tmp_path / "nowhere" / "log").check()
    assert "RECONCILER_AUDIT_LOG" in (caught.value.hint or "")
    NO_AUDIT.check()
    NO_AUDIT.write(EVENT)
