"""Settings: flags, then environment, then `reconciler.toml`, then defaults.

Plugins may have a file each in `plugins.d`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from reconciler.cli import invocation, output
from reconciler.cli.command_log import environment_words
from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.engine import Engine, Home, Inspector, LeasePatience
    from reconciler.engine.service import Service
    from reconciler.plugin.config import PluginSettings
    from reconciler.plugin.registry import Registry

Result = TypeVar("Result")

_VARIABLE = re.compile(r"\$(\w|\{)")
LEAST_PAGE_MEMORY = 16 * 1024 * 1024  # bytes

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        readable=False,  # a home that cannot be read is named with its owner
        help="Folder of the state.  [env: RECONCILER_HOME; default: ./.reconciler]",
        show_default=False,
    ),
]
PathsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="Manifest files and folders; `-` is standard input.  [default: .]",
        show_default=False,
    ),
]

LockTimeoutOption = Annotated[
    str,
    typer.Option(
        "--lock-timeout",
        metavar="DURATION",
        help="How long to wait for what another run holds (`5m`); 0: name it, and fail.",
    ),
]


def home(option: Path | None) -> Home:
    """Return the home that flags, environment and settings name."""
    from reconciler.engine import Home

    stored = invocation.current().settings
    named = str(option or "") or os.environ.get("RECONCILER_HOME") or stored.get("home")
    root = _expanded(named or ".reconciler")
    invocation.current().check_home(root, is_named=bool(named))
    database = os.environ.get("RECONCILER_DATABASE") or stored.get("database")
    size = os.environ.get("RECONCILER_PAGE_MEMORY") or stored.get("page_memory")
    return Home(root, database, _page_memory(size)) if size else Home(root, database)


def audit_log(option: Path | None) -> Path | None:
    """Return the file of the audit log; None where the settings keep none.

    It lies in the home unless they name another.
    """
    stored = invocation.current().settings.get("audit", {})
    named = os.environ.get("RECONCILER_AUDIT_LOG") or stored.get("file")
    if named == "off":
        return None
    if not named:
        return home(option).audit_log
    return _expanded(
        named, "audit log", hint="`RECONCILER_AUDIT_LOG`, or `file` of `[audit]`, names the file"
    )


def _expanded(
    text: str,
    what: str = "home",
    *,
    hint: str = "`--home` or `RECONCILER_HOME` names the folder of the state",
) -> Path:
    """Return a path with `~` and variables expanded. Raises UsageFault where they lead nowhere."""
    path = os.path.expanduser(os.path.expandvars(text))
    if path.startswith("~") or _VARIABLE.search(path):
        raise UsageFault(
            f"the {what} `{text}` names a user or a variable that does not exist", hint=hint
        )
    return Path(path)


def existing_home(option: Path | None) -> Home:
    """Return the same for commands that read a state. Raises StateFault if there is none."""
    location = home(option)
    location.require_state()
    return location


def _page_memory(text: str) -> int:
    """Return a size in bytes. Raises UsageFault where it is none, or too little for any index."""
    from reconciler.plugin import OptionFault
    from reconciler.plugin.options import parse_size

    try:
        size = parse_size(text)
    except OptionFault as error:
        raise UsageFault(f"`page_memory` {error}", hint=error.hint) from None
    if size < LEAST_PAGE_MEMORY:
        raise UsageFault(
            f"`page_memory` of `{text}` is less than a page of an index may have",
            hint=f"at least `{LEAST_PAGE_MEMORY >> 20}MiB`",
        )
    return size


@contextmanager
def inspector(option: Path | None) -> Iterator[Inspector]:
    """Provide read access to the recorded state of a home for the length of a block."""
    from reconciler.engine import Inspector

    plugins_of_home = registry()
    database = existing_home(option).database()
    try:
        yield Inspector(database.reader(), plugins_of_home)
    finally:
        database.close()


def run_engine(
    option: Path | None,
    registry: Registry,
    call: Callable[[Engine], Awaitable[Result]],
    *,
    lock_timeout: str | None = None,
    offline: bool = False,
    may_be_new: bool = False,
) -> Result:
    """Return the result of `call` with an engine over a home; show progress meanwhile.

    `lock_timeout`: how long a run that writes waits for leases of others; without it nothing is
    written. `may_be_new`: a home without a state is no fault; where nothing is written, that is
    said.
    """
    from reconciler.cli.progress import shown
    from reconciler.cli.termination import run_to_end
    from reconciler.engine import Engine
    from reconciler.manifest import read_recorded

    writes = lock_timeout is not None
    waiting = patience(lock_timeout or "0")
    location = home(option) if may_be_new else existing_home(option)
    if not writes and not location.holds_state and "json" not in environment_words():
        output.note(f"new state at {location.root}")  # a log of JSON lines stays one

    async def run() -> Result:
        with shown() as progress:
            async with Engine(
                location,
                registry,
                read_recorded,
                writes=writes,
                offline=offline,
                progress=progress,
                blocked=output.blocked,
                patience=waiting,
            ) as engine:
                return await call(engine)

    return run_to_end(run())


def service(option: Path | None, lock_timeout: str, overrides: Sequence[str] = ()) -> Service:
    """Return what takes files into an existing home, and out of it again."""
    from reconciler.engine.service import Service
    from reconciler.manifest import read_recorded

    waiting = patience(lock_timeout)
    location = existing_home(option)
    return Service(location, registry(), read_recorded, overrides=overrides, patience=waiting)


def patience(text: str) -> LeasePatience:
    """Return the meaning of `--lock-timeout`. Raises UsageFault where it is no duration."""
    from reconciler.engine import LeasePatience
    from reconciler.plugin import OptionFault
    from reconciler.plugin.options import parse_duration

    if text == "0":
        return LeasePatience()
    try:
        return LeasePatience(parse_duration(text).total_seconds(), output.note)
    except OptionFault as error:
        raise UsageFault(f"`--lock-timeout {text}` {error}", hint=error.hint) from None


def principal() -> str:
    """Return `user@host`, which local uploads are recorded under."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def paths(arguments: list[str] | None) -> list[str]:
    return arguments or ["."]


def registry() -> Registry:
    """Return the installed plugins under these settings, validated.

    Raises PluginFault if no command may start.
    """
    result = unstarted_registry()
    result.start()
    return result


def unstarted_registry() -> Registry:
    """Return the same, not validated yet, for commands that show why others do not start."""
    from reconciler.plugin.registry import Registry

    result = Registry(settings=plugins())
    _mention_strangers(result)
    return result


def plugins() -> PluginSettings:
    """Return the settings about plugins. Raises UsageFault naming the faulty file."""
    from reconciler.plugin.config import PluginSettings

    stored = invocation.current().settings
    named = os.environ.get("RECONCILER_PLUGIN_DIRECTORY") or stored.get("plugin_directory")
    if named and not Path(named).is_dir():
        raise UsageFault(
            f"the plugin directory `{named}` is not a folder",
            hint="`RECONCILER_PLUGIN_DIRECTORY`, or `plugin_directory` in the settings",
        )
    configs = dict(_tables(stored))
    origins = dict.fromkeys(configs, invocation.current().file)
    file = invocation.current().file
    for id, path in invocation.current().plugin_files:
        if id in configs:
            raise UsageFault(
                f"the plugin `{id}` is configured twice: in `{file}` and in `{path}`",
                hint="keep one of them",
            )
        configs[id], origins[id] = _own_file(path), str(path)
    return PluginSettings(configs, origins, Path(named) if named else None)


def _mention_strangers(registry: Registry) -> None:
    """Warn about configurations of plugins that are not installed.

    Not an error: the plugin may have been uninstalled.
    """
    named = registry.settings.configs
    strangers = sorted(set(named) - registry.known_ids()) if named else []
    if not strangers:
        return
    from difflib import get_close_matches

    for id in strangers:
        close = get_close_matches(id, sorted(registry.known_ids()), n=1)
        message = (
            f"`{registry.settings.origins[id]}` configures `{id}`, and no installed plugin has"
            " that ID"
        )
        output.warning(message, f"did you mean `{close[0]}`?" if close else None)


def _tables(stored: dict[str, Any]) -> dict[str, dict[str, Any]]:
    tables = stored.get("plugins", {})
    if not isinstance(tables, dict) or not all(
        isinstance(table, dict) for table in tables.values()
    ):
        raise UsageFault(
            f"`plugins` in `{invocation.current().file}` holds one table for each plugin",
            hint="`[plugins.python]`, then its keys",
        )
    for id, table in tables.items():
        _check_plain(table, f"plugins.{id}")
    return tables


def _check_plain(value: Any, where: str) -> None:
    """Refuse values that JSON does not have, so that both files give the same kinds of values."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(item, f"{where}.{key}")
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, where)
    elif not isinstance(value, (str, bool, int, float)):
        raise UsageFault(
            f"`{where}` in `{invocation.current().file}` is a {type(value).__name__}, which plugins"
            " are not given",
            hint="put it in quotes",
        )


def _own_file(path: Path) -> dict[str, Any]:
    import json

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageFault(
            f"`{path}` cannot be read: {error}", hint="it holds one JSON object"
        ) from None
    if not isinstance(document, dict):
        raise UsageFault(f"`{path}` is not a JSON object", hint="`{}` is an empty one")
    return document
