"""One change, from a manifest to `pip install`: mirror, publish, serve, install. Run it with `make
demo`.

Everything happens in `.demo/` beside this folder, which is removed first and kept afterwards, to
look around in.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".demo"
HOME = SCRATCH / "home"
SITE = SCRATCH / "venv"
REPORT = SCRATCH / "installed.json"
MANIFEST = ROOT / "manifests" / "01-mirror.yaml"
RECONCILER = Path(sys.executable).with_name("reconciler")
WANTED = ("markdown-it-py", "packaging")
PROOF = "import markdown_it; print(markdown_it.MarkdownIt().render('**It works.**').strip())"
PATIENCE = 60  # seconds until a server that has not answered is given up


Command: TypeAlias = Sequence[str | Path]


class DemoFailure(Exception):
    """A step that did not work, and what to do about it."""


def main() -> int:
    try:
        demo()
    except DemoFailure as failure:
        print(f"\nThe demo stopped: {failure}", file=sys.stderr)
        return 1
    return 0


def demo() -> None:
    if not RECONCILER.exists():
        raise DemoFailure(
            f"there is no `{shown(RECONCILER)}`; `make demo` installs it first, or run `pip"
            " install .`"
        )
    for name in ("RECONCILER_HOME", "RECONCILER_DATABASE"):
        os.environ.pop(name, None)  # a demo has no business in the state that these name
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir()

    step("Mirror what the manifest names, as version 1, and publish it")
    command: Command = [RECONCILER, "apply", MANIFEST, "--home", HOME]
    run(
        command,
        otherwise=(
            "the mirror could not be made; the lines above say why, and running the demo again"
            " starts afresh"
        ),
    )
    version = recorded_version()

    step("Serve it on a free port of this machine")
    with server() as url:
        index = f"{url}starter/simple/"
        step(f"Install {' and '.join(WANTED)} from there, and from nowhere else")
        installed = install(index)
        print(f"  python says: {proof()}")

    step("What happened")
    counts = ", ".join(f"{number} {type_}" for type_, number in version["counts"].items())
    print(f"  repository starter   version {version['number']}, {counts}")
    print(f"  its digest           {version['digest']}")
    print(f"  pip installed        {', '.join(installed)}")
    step("Where to look next")
    look_next()


def step(title: str) -> None:
    print(f"\n== {title}", flush=True)


def shown(word: str | Path) -> str:
    """A word of a command as a person in this folder would type it."""
    return shlex.quote(os.path.relpath(word) if isinstance(word, Path) else word)


def run(command: Command, *, otherwise: str, environment: dict[str, str] | None = None) -> None:
    """Run a command in the open: what it prints goes where ours goes."""
    print(f"$ {' '.join(map(shown, command))}", flush=True)
    if subprocess.run(command, env=environment).returncode != 0:
        raise DemoFailure(otherwise)


def recorded_version() -> dict[str, Any]:
    """The latest version of the repository, from the command for machines."""
    asked = subprocess.run(
        [RECONCILER, "get", "repository", "starter", "-o", "json", "--home", HOME],
        stdout=subprocess.PIPE,
    )
    if asked.returncode != 0:
        raise DemoFailure("`reconciler get` does not find the repository that was just made")
    version: dict[str, Any] = json.loads(asked.stdout)["status"]["latestVersion"]
    return version


@contextmanager
def server() -> Iterator[str]:
    """A running `reconciler serve`, by its URL; stopped at the end of the block."""
    command: Command = [RECONCILER, "serve", "--port", "0", "--home", HOME]
    print(f"$ {' '.join(map(shown, command))}", flush=True)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    impatience = threading.Timer(PATIENCE, process.kill)
    impatience.start()
    try:
        yield announced(process)
    finally:
        impatience.cancel()
        process.terminate()
        process.communicate()


def announced(process: subprocess.Popen[str]) -> str:
    """The URL that the server says on stderr once it answers."""
    assert process.stderr is not None
    for line in process.stderr:
        print(line, end="", flush=True)
        if line.startswith("serving on "):
            return line.split()[-1]
    raise DemoFailure("the server did not start")


def install(index: str) -> list[str]:
    """What pip installed into a new environment. No other index, no configuration of this machine:
    nothing can help out.
    """
    venv.create(SITE, with_pip=False)
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(SCRATCH),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    options: Command = [
        "--no-cache-dir",
        "--progress-bar",
        "off",
        "--report",
        REPORT,
        "--index-url",
        index,
    ]
    command: Command = [
        Path(sys.executable),
        "-m",
        "pip",
        "--python",
        SITE / "bin" / "python",
        "install",
        *options,
        *WANTED,
    ]
    run(command, otherwise="pip could not install from the served index", environment=environment)
    report = json.loads(REPORT.read_bytes())
    found = [
        (one["metadata"]["name"], one["metadata"]["version"], one["download_info"]["url"])
        for one in report["install"]
    ]
    strangers = [url for _, _, url in found if not url.startswith(index.removesuffix("simple/"))]
    if strangers:
        raise DemoFailure(f"pip took `{strangers[0]}` from somewhere else")
    return [f"{name} {number}" for name, number, _ in sorted(found)]


def proof() -> str:
    """What the installed package does."""
    done = subprocess.run(
        [SITE / "bin" / "python", "-I", "-c", PROOF], stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise DemoFailure("what pip installed cannot be imported")
    return done.stdout.strip()


def look_next() -> None:
    """Commands to type, with the home of this demo."""
    at = f"--home {shown(HOME)}"
    program = shown(RECONCILER)
    suggestions = [
        (f"{program} plan {shown(MANIFEST)} {at}", "nothing to do: what is, is what should be"),
        (f"{program} history repository/starter {at}", "its versions, and the commit of each"),
        (f"{program} describe publication/starter {at}", "what is served, since when"),
        (f"{program} serve {at}", "http://127.0.0.1:8000/starter/simple/"),
    ]
    width = max(len(command) for command, _ in suggestions)
    for command, why in suggestions:
        print(f"  {command:<{width}}  # {why}")
    print(
        f"\n  Edit {shown(MANIFEST)}, `plan` and `apply` again;"
        f" {shown(ROOT / 'manifests' / 'README.md')} lists every kind and option."
    )


if __name__ == "__main__":
    sys.exit(main())
