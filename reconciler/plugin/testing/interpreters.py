"""Other Python interpreters, which have other iteration orders of sets, and what they answer.

An interpreter is started when it is first asked, and ends with this process. It imports the kit
once and answers each request in a fork of itself, so that no request finds what an earlier one left
behind, and none waits for imports. It has no threads, which a fork would not take along.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

SEEDS = range(1, 9)  # of hashing, which decides the iteration order of sets
FEW = 2  # interpreters of one process: each takes more than a second to start

Names = Sequence[Sequence[str]]
"""Sets of texts, sorted each."""

_ORDERS = (
    "import json, sys;"
    " print(json.dumps([list(dict.fromkeys(set(names))) for names in json.load(sys.stdin)]))"
)
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline());"
    " from reconciler.plugin.testing.interpreters import answer_requests;"
    " from reconciler.plugin.testing.reproducibility import run_request;"
    " answer_requests(run_request)"
)
_WAIT = 300  # seconds, for a process on a busy machine
_TOLD = 2_000  # characters of what a failing process says


class Interpreter:
    """A Python process that answers requests, each in a process of its own."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
        atexit.register(self.close)
        self._write(sys.path)

    def ask(self, request: Mapping[str, Any], folder: Path) -> Any:
        """Return what `run_request` returns for a request; the answer lies in `folder` meanwhile.

        Raises AssertionError with what the process printed where it failed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        answer, printed = folder / "answer.json", folder / "printed.txt"
        self._write(
            {
                "request": request,
                "answer": str(answer.absolute()),
                "printed": str(printed.absolute()),
                "environment": dict(os.environ),
                "folder": os.getcwd(),
            }
        )
        status = self._status()
        text = printed.read_text(encoding="utf-8", errors="replace") if printed.exists() else ""
        assert status == "0", f"the plugin fails in a new process: {text.strip()[-_TOLD:]}"
        return json.loads(answer.read_bytes())

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _write(self, value: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value).encode() + b"\n")
        self._process.stdin.flush()

    def _status(self) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(_WAIT):
                self.close()
                _RUNNING.pop(self._seed, None)
                return "no answer"
        return self._process.stdout.readline().decode().strip()


_RUNNING: dict[int, Interpreter] = {}


def orders_of(names: Names) -> list[list[str]]:
    """Return the order that a set of these texts has in this process, for each of them."""
    return [list(dict.fromkeys(set(each))) for each in names]


def opposite_interpreters(names: Names) -> Iterator[Interpreter]:
    """Yield interpreters, one at least, in which these sets have another order than they have here.

    Those that run are asked first, and another only where they leave half of the sets as they are.
    It has the seed that serves best, of a few: a set of two texts has every second time the order
    that it has here.
    """
    open_names = list(names)
    for seed, running in list(_RUNNING.items()):
        open_names = _of_same_order(open_names, seed)
        yield running
        if len(open_names) * 2 <= len(names):
            return
    if len(_RUNNING) < FEW:
        left = {seed: _of_same_order(open_names, seed) for seed in _untried(open_names)}
        best = min(left, key=lambda seed: len(left[seed]))
        _RUNNING[best] = Interpreter(best)
        yield _RUNNING[best]


def _untried(names: Names) -> Iterator[int]:
    """Yield seeds that no interpreter has, up to the first that serves all of the sets."""
    for seed in SEEDS:
        if seed not in _RUNNING:
            yield seed
            if not _of_same_order(names, seed):
                return


@lru_cache
def orders_with(seed: int, names: str) -> list[list[str]]:
    """Return the orders that sets have with a seed; a bare interpreter tells it at once."""
    told = subprocess.run(
        [sys.executable, "-S", "-c", _ORDERS],
        input=names.encode(),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
    )
    orders: list[list[str]] = json.loads(told.stdout)
    return orders


def _of_same_order(names: Names, seed: int) -> list[Sequence[str]]:
    there = orders_with(seed, json.dumps(names))
    return [
        each
        for each, order, other in zip(names, orders_of(names), there, strict=True)
        if order == other
    ]


def answer_requests(run_request: Callable[[dict[str, Any]], Any]) -> None:
    """Answer the requests on stdin, in the other process; print the status of each."""
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if not child:
            _end_with(partial(_answer, run_request, told))
        _, status = os.waitpid(child, 0)
        print(status, flush=True)


def _answer(run: Any, told: Mapping[str, Any]) -> None:
    descriptor = os.open(told["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for standard in (1, 2):  # a plugin may print, and the status goes another way
        os.dup2(descriptor, standard)
    os.environ.clear()  # that of when the interpreter was started
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    Path(told["answer"]).write_text(json.dumps(run(told["request"])), encoding="utf-8")


def _end_with(action: Any) -> None:
    """Do something and end this process, which is a copy of one that goes on."""
    status = 1
    try:
        action()
        status = 0
    except BaseException:  # told on the stderr of the process, which ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
