"""Another day and another process: what a plugin makes must not depend on them."""

from __future__ import annotations

import datetime as datetime_module
import importlib
import json
import os
import subprocess
import sys
import time as time_module
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

from reconciler.plugin.testing.modules import seeing
from reconciler.plugin.testing.subject import EntryPointFunction, Subject
from reconciler.plugin.testing.trial import Made, Trial
from reconciler.plugin.testing.upstream import Upstream

AHEAD = datetime_module.timedelta(days=1000, hours=5, minutes=7, seconds=11)
SEED = "1"  # of the hashes that decide in which order a set is walked through

_PROGRAM = (
    "import json, sys; given = json.load(sys.stdin); sys.path[:] = given['path']; import"
    " reconciler.plugin.testing.elsewhere as it; it.answer(given)"
)
_WAIT = 300  # seconds, for a process on a busy machine


@contextmanager
def another_day(modules: list[ModuleType]) -> Iterator[None]:
    """Within the block the clock that these modules see is years ahead."""
    with seeing(modules, _clocks()):
        yield


def reachable(subject: Subject) -> bool:
    """Can another process import the plugin, that is: are the entry points' functions those of a
    module, as installed ones are?
    """
    return all("<" not in function.__qualname__ for function in subject.functions)


def made_elsewhere(subject: Subject, folder: Path) -> Made:
    """What a new process, which walks through sets in another order, makes of the same upstream."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(_question(subject, folder)),
        capture_output=True,
        text=True,
        check=False,
        timeout=_WAIT,
        env={**os.environ, "PYTHONHASHSEED": SEED},
    )
    assert done.returncode == 0, (
        f"the plugin does not work in a new process: {done.stderr.strip()[-2000:]}"
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return Made(
        found["digest"], [(path, media_type, digest) for path, media_type, digest in found["shown"]]
    )


def answer(question: dict[str, Any]) -> None:
    """The other process's part: apply, and print what came of it."""
    functions = [_function(*where) for where in question["functions"]]
    count = question["types"]
    upstream = Upstream({}, url=question["url"])
    subject = Subject(
        functions[0],
        upstream,
        functions[1 : 1 + count],
        next(iter(functions[1 + count :]), None),
        **question["keys"],
    )
    trial = Trial(subject, Path(question["folder"]))
    trial.apply()
    made = trial.made()
    print(json.dumps({"digest": made.digest, "shown": made.shown}))


def _question(subject: Subject, folder: Path) -> dict[str, Any]:
    return {
        "path": sys.path,
        "folder": str(folder),
        "url": subject.upstream.url,
        "functions": [
            [
                function.__module__,
                function.__qualname__,
                str(getattr(sys.modules[function.__module__], "__file__", "")),
            ]
            for function in subject.functions
        ],
        "types": len(subject.content_types),
        "keys": {
            name: _plain(getattr(subject, name))
            for name in ("source", "publication", "path", "remote", "rules")
        },
    }


def _plain(keys: Any) -> Any:
    return keys if isinstance(keys, str) else dict(keys)


def _function(module: str, name: str, file: str) -> EntryPointFunction:
    """As the first process has it: from the same file, where the path does not lead to it."""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        spec = util.spec_from_file_location(module, file)
        assert spec is not None, f"`{module}` cannot be imported by another process"
        assert spec.loader is not None
        found = util.module_from_spec(spec)
        sys.modules[module] = found
        spec.loader.exec_module(found)
    function: EntryPointFunction = getattr(found, name)
    return function


class _Kind(type):
    """What is a moment or a day for the true class is one for its stand-in."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.__mro__[1])


class _Datetime(datetime_module.datetime, metaclass=_Kind):
    def __new__(cls, *parts: Any, **named: Any) -> Any:
        return datetime_module.datetime(*parts, **named)

    @classmethod
    def now(cls, tz: datetime_module.tzinfo | None = None) -> Any:
        return datetime_module.datetime.now(tz) + AHEAD

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(datetime_module.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _Date(datetime_module.date, metaclass=_Kind):
    def __new__(cls, *parts: Any, **named: Any) -> Any:
        return datetime_module.date(*parts, **named)

    @classmethod
    def today(cls) -> Any:
        return _Datetime.now().date()


def _clocks() -> dict[int, Any]:
    """Everything that tells the time, by what it stands in for."""
    functions = _time_functions()
    names: dict[Any, Any] = {
        getattr(time_module, name): function for name, function in functions.items()
    }
    names |= {datetime_module.datetime: _Datetime, datetime_module.date: _Date}
    names[time_module] = _module(time_module, functions)
    names[datetime_module] = _module(datetime_module, {"datetime": _Datetime, "date": _Date})
    return {id(original): instead for original, instead in names.items()}


def _time_functions() -> dict[str, Callable[..., Any]]:
    ahead = AHEAD.total_seconds()

    def now(given: tuple[Any, ...]) -> float:
        return time_module.time() + ahead if not given or given[0] is None else float(given[0])

    return {
        "time": lambda: time_module.time() + ahead,
        "time_ns": lambda: time_module.time_ns() + int(ahead) * 10**9,
        "gmtime": lambda *given: time_module.gmtime(now(given)),
        "localtime": lambda *given: time_module.localtime(now(given)),
        "ctime": lambda *given: time_module.ctime(now(given)),
        "asctime": lambda *given: time_module.asctime(
            *(given or (time_module.localtime(now(())),))
        ),
        "strftime": lambda form, *given: time_module.strftime(
            form, *(given or (time_module.localtime(now(())),))
        ),
    }


def _module(original: ModuleType, instead: dict[str, Any]) -> ModuleType:
    """The same module with some other names."""
    module = ModuleType(original.__name__)
    vars(module).update({**vars(original), **instead})
    return module
