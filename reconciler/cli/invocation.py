"""The call of a command: its manifests, its settings files, and the reach of its manifests.

`--config` and `--allow-path` are options of every command that can use them. `reconciler.toml` and
`plugins.d` of the working folder may belong to a stranger's pull request, like the manifests there:
they are read only outside of CI and of the manifests, or where `--config` names them. A home that
a checkout brought is refused.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli import output
from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from reconciler.reach import Limits

FILE = "reconciler.toml"
FOLDER = "plugins.d"
VARIABLE = "RECONCILER_CONFIG"
TEXTS = ("home", "database", "plugin_directory", "page_memory")
TABLES = {"audit": ("file",)}  # and the keys that they may have, all of them texts
KEYS = (*TEXTS, *TABLES, "plugins")
HARMLESS = ("plugins",)  # what a file below a manifest root may set
PATHS, WORDS = "paths", "words_and_paths"  # parameters of commands that read manifests

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=(
            "Settings file, with `plugins.d` beside it.  [env: RECONCILER_CONFIG; default:"
            " ./reconciler.toml, outside of manifests and CI]"
        ),
        show_default=False,
    ),
]
AllowPathOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-path",
        metavar="PATH",
        help=(
            "File or folder outside of the manifests' own that they may read; may be repeated. "
            " [env: RECONCILER_ALLOW_PATHS, separated by `:`]"
        ),
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Invocation:
    """One call of a command. `manifests`: its paths; none where it reads no manifests."""

    config: Path | None = None
    manifests: tuple[str, ...] = ()
    allow_paths: tuple[str, ...] = ()

    @property
    def limits(self) -> Limits:
        """The limits of what manifests may reach."""
        from reconciler.reach import Limits

        return Limits.of(os.environ, self.allow_paths)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Settings of the file, checked. Raises UsageFault."""
        path = self._named or self._here(FILE)
        if path is None:
            return {}
        settings = _parsed(path)
        bad = sorted(settings.keys() - set(HARMLESS))
        if bad and self._is_below_a_root(path):
            raise UsageFault(
                f"`{bad[0]}` is not taken from `{path}`: it lies below the manifest root",
                hint=(
                    f"keep it in a file elsewhere, or set `{_variable(bad[0])}`: whoever"
                    " proposes a change of manifests could change it as well"
                ),
            )
        return settings

    @cached_property
    def plugin_files(self) -> list[tuple[str, Path]]:
        """Configuration files of single plugins, by plugin ID."""
        folder = self._named.parent / FOLDER if self._named else self._here(FOLDER)
        if folder is None or not folder.is_dir():
            return []
        files = sorted(path for path in folder.glob("*.conf") if not path.name.startswith("."))
        return [(path.name.removesuffix(".conf"), path) for path in files]

    @property
    def file(self) -> str:
        """The settings file as messages call it."""
        return str(self._named or FILE)

    def check_home(self, home: Path, *, is_named: bool) -> None:
        """Refuse a home that a checkout brought, since a stranger may have made it.

        `is_named`: a setting names it. Raises UsageFault.
        """
        from reconciler.engine.session.home_origin import is_tracked
        from reconciler.reach import is_below, is_unattended

        if not os.path.lexists(home):
            return
        tracked = is_tracked(home)
        if tracked:
            is_own = not is_below(os.getcwd(), os.path.realpath(home))
            remedy = f"; `git rm -r --cached {home}` keeps it out of commits" if is_own else ""
            raise UsageFault(
                f"the home `{home}` is under version control: whoever proposes a change could have"
                " made its database, its files and its key",
                hint=f"`--home` or `RECONCILER_HOME` names another{remedy}",
            )
        is_doubtful = tracked is None and not is_named and is_unattended(os.environ)
        if is_doubtful and self._is_below_a_root(home):
            raise UsageFault(
                f"the home `{home}` lies among the manifests while `CI` is set, and git does not"
                " say whether it came with them",
                hint="`--home` or `RECONCILER_HOME` names the home that this job keeps",
            )

    @cached_property
    def _named(self) -> Path | None:
        text = str(self.config) if self.config else os.environ.get(VARIABLE)
        if not text:
            return None
        path = Path(text).expanduser()
        if not path.is_file():
            raise UsageFault(
                f"the settings file `{path}` does not exist",
                hint=f"`--config` or `{VARIABLE}` names it",
            )
        return path

    def _here(self, name: str) -> Path | None:
        """Return what has that name in the working folder, unless it may be a stranger's."""
        from reconciler.reach import is_below, is_unattended

        path = Path(name)
        if not path.exists():
            return None
        folders = [os.path.realpath(place) for place in self.manifests if place != "-"]
        if is_unattended(os.environ):
            why = "`CI` is set"
        elif any(is_below(place, folder) for folder in folders for place in _places(path)):
            why = "it lies among the manifests"
        else:
            return path
        named = FILE if name == FILE else f"a file beside `{FOLDER}`"
        output.warning(f"`{name}` is not read: {why}", f"`--config` with {named} reads it")
        return None

    def _is_below_a_root(self, path: Path) -> bool:
        from reconciler.reach import is_below, manifest_root

        roots = [os.getcwd() if place == "-" else manifest_root(place) for place in self.manifests]
        return any(is_below(place, root) for root in roots for place in _places(path))


_current: ContextVar[Invocation] = ContextVar("invocation")


def current() -> Invocation:
    """Return how the running command was called."""
    return _current.get(Invocation())


def set_manifests(paths: Iterable[str]) -> None:
    """Take `paths` for the manifests of the running command, which found them among its words.

    To be called before anything is read of the settings, which may lie beside them.
    """
    _current.set(replace(current(), manifests=tuple(paths)))


def with_options(command: Callable[..., int]) -> Callable[..., int]:
    """Return `command` with `--config`, and with `--allow-path` where it takes manifests."""
    signature = inspect.signature(command, eval_str=True)
    takes_manifests = not signature.parameters.keys().isdisjoint((PATHS, WORDS))
    added: Mapping[str, Any] = {"config": ConfigOption} | (
        {"allow_path": AllowPathOption} if takes_manifests else {}
    )

    @wraps(command)
    def called(*args: Any, **kwargs: Any) -> int:
        config, allowed = kwargs.pop("config"), kwargs.pop("allow_path", None)
        paths = tuple(kwargs.get(PATHS) or ["."]) if takes_manifests else ()
        token = _current.set(Invocation(config, paths, tuple(allowed or ())))
        try:
            return command(*args, **kwargs)
        finally:
            _current.reset(token)

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in added.items()
    ]
    # typer reads the signature and the annotations to find the options
    called.__dict__["__signature__"] = signature.replace(
        parameters=[*signature.parameters.values(), *parameters]
    )
    called.__annotations__ = {**command.__annotations__, **added}
    return called


def _places(path: Path) -> tuple[str, str]:
    """Return where a file lies, its folder without links, and where it leads if it is a link."""
    return os.path.join(os.path.realpath(path.parent), path.name), os.path.realpath(path)


def _parsed(path: Path) -> dict[str, Any]:
    import tomli

    try:
        settings = tomli.loads(path.read_text(encoding="utf-8"))
    except tomli.TOMLDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageFault(f"`{path}` cannot be read: no TOML at {place}") from None
    except OSError as error:
        raise UsageFault(f"`{path}` cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageFault(f"`{path}` cannot be read: not TOML in UTF-8") from None
    unknown = sorted(set(settings) - set(KEYS))
    if unknown:
        raise UsageFault(
            f"`{path}` holds the unknown setting `{unknown[0]}`", hint=f"known: {', '.join(KEYS)}"
        )
    for name in TEXTS:
        _check_text(settings.get(name, ""), name, path)
    for name, keys in TABLES.items():
        _check_table(settings.get(name, {}), name, path, keys=keys)
    return settings


def _check_text(value: Any, name: str, path: Path) -> None:
    if not isinstance(value, str):
        raise UsageFault(f"`{name}` in `{path}` expects a text", hint="put it in quotes")


def _check_table(table: Any, name: str, path: Path, *, keys: Sequence[str]) -> None:
    if not isinstance(table, dict):
        raise UsageFault(f"`{name}` in `{path}` expects a table", hint=f"`[{name}]`, then its keys")
    unknown = sorted(set(table) - set(keys))
    if unknown:
        raise UsageFault(
            f"`{path}` holds the unknown setting `{name}.{unknown[0]}`",
            hint=f"known: {', '.join(keys)}",
        )
    for key, value in table.items():
        _check_text(value, f"{name}.{key}", path)


def _variable(name: str) -> str:
    """Return the environment variable that says the same as a setting or the key of a table."""
    return "RECONCILER_AUDIT_LOG" if name == "audit" else f"RECONCILER_{name.upper()}"
