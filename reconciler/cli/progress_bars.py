"""Progress bars for a terminal."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as RichTask
from rich.table import Column
from rich.text import Text

from reconciler.engine import ProgressTask
from reconciler.model import size_text


class Bars:
    """Shows every task as a bar: of bytes if their number is known, else of units."""

    def __init__(self) -> None:
        columns: tuple[ProgressColumn, ...] = (
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None),  # the rest of the line
            UnitsColumn(table_column=Column(no_wrap=True)),
            BytesColumn(table_column=Column(no_wrap=True)),
            SpeedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True),
        )
        self._progress = Progress(
            *columns,
            console=Console(stderr=True),
            transient=True,
            expand=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def task(self, title: str, noun: str) -> ProgressTask:
        return BarTask(self._progress, title, noun)


class BarTask:
    def __init__(self, progress: Progress, title: str, noun: str) -> None:
        self._progress = progress
        self._id = progress.add_task(title, total=None, units=0, expected=0, noun=noun, sized=False)
        self._units = self._expected = self._size = 0

    def expect(self, units: int, size: int) -> None:
        self._expected += units
        self._size += size
        self._progress.update(
            self._id,
            total=self._size
            or self._expected
            or None,  # unknown is a bar that moves, not a full one
            expected=self._expected,
            sized=bool(self._size),
        )

    def advance(self, units: int = 0, size: int = 0) -> None:
        self._units += units
        self._progress.update(self._id, advance=size if self._size else units, units=self._units)

    def done(self) -> None:
        self._progress.remove_task(self._id)


class UnitsColumn(ProgressColumn):
    """Units done and expected; empty until any are known."""

    def render(self, task: RichTask) -> Text:
        units, expected, noun = (task.fields[name] for name in ("units", "expected", "noun"))
        if not expected:
            return Text(f"{units} {noun}" if units else "")
        return Text(f"{units}/{expected} {noun}")


class BytesColumn(ProgressColumn):
    """Bytes done and expected; empty for tasks without bytes."""

    def render(self, task: RichTask) -> Text:
        return Text(
            f"{size_text(int(task.completed))} of {size_text(int(task.total or 0))}"
            if task.fields["sized"]
            else ""
        )


class SpeedColumn(ProgressColumn):
    def render(self, task: RichTask) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{size_text(int(speed))}/s" if task.fields["sized"] and speed else "")
