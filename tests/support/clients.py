"""The programs that users run, as they run them: our command line, pip, uv and poetry, each without
any configuration of the machine.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

from tests.support.forked import started, write_to

PIP = [sys.executable, "-m", "pip"]
FORKED = {"pip", "pytest"}  # modules that take longer to be imported than to do their work
PATIENCE = 300  # seconds, for what would else hang for ever


def fetched(url: str, **headers: str) -> bytes:
    """The body at a URL of a server on loopback. Names of headers with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urlopen(Request(url, headers=named), timeout=60) as response:
        body: bytes = response.read()
        return body


def program(name: str) -> str:
    """A program of the environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))


def isolated(home: Path, **more: str) -> dict[str, str]:
    """An environment with no index, cache, proxy or configuration but ours."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": tempfile.gettempdir(),  # where `home` lies: uv links files from there
        "NO_COLOR": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_NO_CONFIG": "1",
        "UV_NO_CACHE": "1",
        **more,
    }


def run(words: Sequence[str | Path], home: Path, *, folder: Path | None = None, **more: str) -> str:
    """Run a program to its end; everything that it said. It must succeed."""
    code, said = ended(words, home, folder=folder, **more)
    assert code == 0, said
    return said


def ended(
    words: Sequence[str | Path], home: Path, *, folder: Path | None = None, **more: str
) -> tuple[int, str]:
    """Run a program to its end; its exit code and everything that it said."""
    environment = isolated(home, **more)
    if list(words[:2]) == [sys.executable, "-m"] and words[2] in FORKED:
        return _forked([str(word) for word in words[2:]], environment, folder or Path.cwd())
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout


def _forked(words: list[str], environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """Run a module in a process where what it needs is imported already."""
    with tempfile.NamedTemporaryFile() as log:
        process = started(_as_main, words, environment, str(folder), log.name)
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
        said = log.read().decode()
    assert process.exitcode is not None, said
    return process.exitcode, said


def _as_main(words: list[str], environment: dict[str, str], folder: str, log: str) -> None:
    write_to(log)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = [folder for folder in environment.get("PYTHONPATH", "").split(":") if folder]
    sys.argv[:] = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def pip_installs(index: str, home: Path, *packages: str) -> str:
    """Install wheels into `<home>/pip` from this index alone; what pip said."""
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-compile",
        "--target",
        home / "pip",
        "--index-url",
        index,
        *packages,
    ]
    return run(words, home)


def uv_installs(index: str, home: Path, *packages: str) -> str:
    """Likewise, into `<home>/uv`."""
    words: list[str | Path] = [
        program("uv"),
        "pip",
        "install",
        "--python",
        sys.executable,
        "--target",
        home / "uv",
        "--default-index",
        index,
        *packages,
    ]
    return run(words, home)


def poetry_installs(index: str, home: Path, packages: Mapping[str, str]) -> str:
    """Lock and install a project whose only source is this index, into `<home>/poetry/.venv`; what
    poetry said.
    """
    project = home / "poetry"
    project.mkdir()
    wanted = ", ".join(f'"{name}{specifier}"' for name, specifier in packages.items())
    project.joinpath("pyproject.toml").write_text(
        f"""
[project]
name = "scratch"
version = "1"
requires-python = ">=3.11"
dependencies = [{wanted}]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "ours"
url = "{index}"
priority = "primary"
""",
        encoding="utf-8",
    )
    settings = {
        "POETRY_CACHE_DIR": str(home / "cache"),
        "POETRY_CONFIG_DIR": str(home / "config"),
        "POETRY_DATA_DIR": str(home / "data"),
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_VIRTUALENVS_OPTIONS_NO_PIP": "true",
        "POETRY_KEYRING_ENABLED": "false",
    }
    said = run([program("poetry"), "lock", "--no-interaction"], home, folder=project, **settings)
    return said + run(
        [program("poetry"), "install", "--no-interaction"], home, folder=project, **settings
    )


# Seen once in some twenty runs of the suite, never when tried for: most likely the deadlock in
# granian's shutdown (emmett-framework/granian issue 875), after everything was answered.
HUNG = "WARNING: Killing worker-1 after it refused to gracefully stop\n"


@contextmanager
def served(home: Path, *, warns: bool = False, workers: int = 1, **more: str) -> Iterator[str]:
    """`reconciler serve` on a free port, over this home; its URL, which ends with a slash. `more`:
    variables of its environment.

    `warns`: does it have something to say before it serves?
    """
    words = [program("reconciler"), "serve", "--port", "0", "--home", str(home)]
    words += ["--workers", str(workers)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=isolated(home, **more))
    try:
        assert process.stderr is not None
        said: list[str] = []
        while not (line := process.stderr.readline()).startswith("serving on "):
            assert line, "".join(said)
            said.append(line)
        assert bool(said) == warns, "".join(said)
        yield line.split()[-1]
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=PATIENCE)
    assert (process.returncode, rest.removeprefix(HUNG)) == (0, ""), (process.returncode, rest)


@contextmanager
def python_http_server(folder: Path) -> Iterator[str]:
    """What `python -m http.server` does with a folder, on a free port; its URL, which ends with a
    slash.
    """

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]  # as the server calls it

        def log_message(self, format: str, *arguments: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
