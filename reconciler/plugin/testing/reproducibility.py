"""Runs under a shifted clock and in another process, which must give the same results."""

from __future__ import annotations

import datetime as datetime_module
import importlib
import sys
import time as time_module
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

from reconciler.plugin.testing.interpreters import opposite_interpreters
from reconciler.plugin.testing.plugin_modules import replaced_globals
from reconciler.plugin.testing.sandbox import Sandbox, State, SyncResult, failures_of
from reconciler.plugin.testing.subject import EntryPointFunction, Subject
from reconciler.plugin.testing.upstream import Upstream

AHEAD = datetime_module.timedelta(days=1000, hours=5, minutes=7, seconds=11)


@contextmanager
def shifted_clock(modules: list[ModuleType]) -> Iterator[None]:
    """Move the clock that these modules see years ahead within the block."""
    with replaced_globals(modules, _clocks()):
        yield


def is_importable(subject: Subject) -> bool:
    """Return True if another process can import the entry points: functions of modules."""
    return all("<" not in function.__qualname__ for function in subject.functions)


def results_elsewhere(subject: Subject, here: State, folder: Path) -> Iterator[SyncResult]:
    """Yield what other processes sync and publish, with other iteration orders of sets.

    `here`: the result in this process. Sets of what it names have other orders there.
    """
    for number, interpreter in enumerate(opposite_interpreters(_names(here))):
        inside = folder / str(number)
        answer = interpreter.ask(_request(subject, inside), inside)
        yield SyncResult(
            answer["digest"],
            [(path, media_type, digest) for path, media_type, digest in answer["shown"]],
        )


def run_request(request: dict[str, Any]) -> dict[str, Any]:
    """Apply in another process, and return the result as plain data."""
    sys.path[:] = request["path"]
    functions = [_function(*where) for where in request["functions"]]
    count = request["types"]
    subject = Subject(
        functions[0],
        Upstream({}, url=request["url"]),
        functions[1 : 1 + count],
        next(iter(functions[1 + count :]), None),
        **request["keys"],
    )
    sandbox = Sandbox(subject, Path(request["folder"]))
    report, _ = sandbox.apply()
    assert not report.failed, failures_of(report)
    made = sandbox.made()
    return {"digest": made.digest, "shown": made.shown}


def _names(here: State) -> list[list[str]]:
    """Return sets of texts that a plugin may have met, those of several texts each."""
    keys: dict[str, list[str]] = {}
    lists: list[list[str]] = []
    for unit in here.units:
        keys.setdefault(unit.group, []).append(unit.key)
        lists += _lists_of_texts(unit.metadata)
    sets = {tuple(sorted(set(names))) for names in (keys, *keys.values(), *lists)}
    return [list(names) for names in sorted(sets) if len(names) > 1]


def _lists_of_texts(value: Any) -> Iterator[list[str]]:
    if isinstance(value, Mapping):
        yield [*value]
        value = list(value.values())
    if isinstance(value, list):
        yield [text for text in value if isinstance(text, str)]
        for item in value:
            yield from _lists_of_texts(item)


def _request(subject: Subject, folder: Path) -> dict[str, Any]:
    return {
        "path": sys.path,
        "folder": str(folder.absolute()),
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
    """Import a function; by its file where the module is not on `sys.path`."""
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError:
        spec = util.spec_from_file_location(module, file)
        assert spec is not None, f"`{module}` cannot be imported by another process"
        assert spec.loader is not None
        loaded = util.module_from_spec(spec)
        sys.modules[module] = loaded
        spec.loader.exec_module(loaded)
    function: EntryPointFunction = getattr(loaded, name)
    return function


class _InstancesOfBase(type):
    """Make instances of the original class instances of its replacement too."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.__mro__[1])


class _Datetime(datetime_module.datetime, metaclass=_InstancesOfBase):
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


class _Date(datetime_module.date, metaclass=_InstancesOfBase):
    def __new__(cls, *parts: Any, **named: Any) -> Any:
        return datetime_module.date(*parts, **named)

    @classmethod
    def today(cls) -> Any:
        return _Datetime.now().date()


def _clocks() -> dict[int, Any]:
    """Return replacements for everything that tells the time, by `id` of the original."""
    functions = _time_functions()
    names: dict[Any, Any] = {
        getattr(time_module, name): function for name, function in functions.items()
    }
    names |= {datetime_module.datetime: _Datetime, datetime_module.date: _Date}
    names[time_module] = _module(time_module, functions)
    names[datetime_module] = _module(datetime_module, {"datetime": _Datetime, "date": _Date})
    return {id(original): replacement for original, replacement in names.items()}


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


def _module(original: ModuleType, replacements: dict[str, Any]) -> ModuleType:
    """Return a copy of the module with some names replaced."""
    module = ModuleType(original.__name__)
    vars(module).update({**vars(original), **replacements})
    return module
