"""How a run says how far it is: bars on a terminal, now and then a line in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from reconciler.cli import progress
from reconciler.cli.progress_bars import Bars
from reconciler.engine.sources.repository_resolution import groups_noun
from reconciler.plugin.config import PluginSettings
from reconciler.plugin.registry import Registry


def test_bars_show_units_bytes_rate_and_time_left_on_one_line_of_a_small_terminal() -> None:
    screen = Console(width=80, file=io.StringIO(), force_terminal=False)
    bars = Bars()
    sized, counted = (
        bars.task("fetching starter", "distributions"),
        bars.task("reading starter", "groups"),
    )
    sized.expect(28, 3 * 2**20)
    sized.advance(14, 2**20)
    counted.expect(6, 0)
    counted.advance(2)
    screen.print(bars._progress.get_renderable())
    assert isinstance(screen.file, io.StringIO)
    first, second = screen.file.getvalue().splitlines()
    assert first.startswith("fetching starter ")
    assert "14/28 distributions 1.0 MiB of 3.0 MiB" in first
    assert "2/6 groups" in second
    assert "MiB" not in second


def test_in_a_pipe_a_long_task_says_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("reconciler.cli.progress.time.monotonic", lambda: now[0])
    task = progress.PlainProgress().task("fetching team", "distributions")
    task.expect(10, 10 * 2**20)
    for _ in range(3):
        now[0] += 3
        task.advance(1, 2**20)
    task.done()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "fetching team: 2 of 10 distributions, 2.0 MiB of 10.0 MiB, 341.3 KiB/s",
        "fetching team: 3 of 10 distributions, 3.0 MiB of 10.0 MiB, 341.3 KiB/s",
    ]


def test_what_is_over_at_once_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("reconciler.cli.progress.time.monotonic", lambda: 100.0)
    task = progress.PlainProgress().task("fetching team", "distributions")
    task.expect(1, 10)
    task.advance(1, 10)
    task.done()
    assert capsys.readouterr().err == ""


def test_a_bar_is_not_full_before_anything_is_expected() -> None:
    """Kind: progress that says more than is known."""
    screen = Console(width=80, file=io.StringIO(), force_terminal=False)
    bars = Bars()
    task = bars.task("reading starter", "projects")
    task.expect(0, 0)
    [shown] = bars._progress.tasks
    assert (shown.total, shown.percentage, shown.finished) == (None, 0.0, False)
    screen.print(bars._progress.get_renderable())
    assert isinstance(screen.file, io.StringIO)
    assert "0/0" not in screen.file.getvalue()
    task.advance(3)
    screen.print(bars._progress.get_renderable())
    assert "3 projects" in screen.file.getvalue()


def test_a_line_does_not_say_of_how_many_before_that_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("reconciler.cli.progress.time.monotonic", lambda: now[0])
    task = progress.PlainProgress().task("reading team", "projects")
    now[0] += 6
    task.advance(4)
    assert capsys.readouterr().err.splitlines() == ["reading team: 4 projects"]


@pytest.mark.parametrize(("importer", "noun"), [("python", "projects"), ("file", "parts")])
def test_groups_are_called_as_people_call_them(importer: str, noun: str) -> None:
    registry = Registry(settings=PluginSettings())
    assert groups_noun(registry, registry.importer(importer)) == noun
