"""pypiserver: the command line in a script or a unit file, or the folder that it serves."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from reconciler.plugin import Description, Draft, DraftResource, Malformed
from reconciler_python.arriving.draft_parts import (
    Remarks,
    password,
    publication,
    remote,
    repository,
)
from reconciler_python.reading.filenames import stem_and_type

KIND: Final = "pypiserver"
PROGRAM: Final = "pypi-server"
LARGEST: Final = 1024 * 1024
_NAME = "packages"
_USERS_FILE = 1024 * 1024
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_FLAGS = frozenset(
    {"-v", "--verbose", "--disable-fallback", "-o", "--overwrite", "--version", "-h", "--help"}
)
_SHORT: Final = {
    "-H": "--interface",
    "-P": "--passwords",
    "-a": "--authenticate",
    "-i": "--interface",
    "-o": "--overwrite",
    "-p": "--port",
    "--host": "--interface",
}
_NO_EQUAL: Final = {
    "--cache-control": "pages are revalidated, files are immutable: the server says so itself",
    "--fallback-url": "a `remote` source takes what you need of another index",
    "--health-endpoint": "`/healthz` and `/readyz`",
    "--interface": "`reconciler serve --host`",
    "--overwrite": "files are never replaced; `reconciler remove` takes one away",
    "--port": "`reconciler serve --port`",
    "--server-base-url": "`path` of the publication, or `baseUrl` behind a proxy",
    "--welcome": "pages are the server's own",
}
_TRANSLATED = frozenset({"--authenticate", "--disable-fallback", "--passwords"})
_HAVE_NO_MEANING = frozenset({"--backend", "--hash-algo", "--server", "-v", "--verbose"})


def translate(description: Description) -> Draft:
    """Return a repository that takes uploads and holds what the folders hold. Raises Malformed."""
    remarks = Remarks()
    if description.is_folder:
        return _draft(description, remarks, folders=[description.path], access={})
    words, line = _command(description)
    place = f"{description.path.name}:{line}"
    folders, options = _parsed(words)
    paths = [_path(description, folder) for folder in folders]
    access = _access(description, options, remarks, place=place)
    for option in sorted(options.keys() - _HAVE_NO_MEANING - _TRANSLATED):
        what = _NO_EQUAL.get(option, "not known here; `-v` and `RECONCILER_LOG` set logging")
        remarks.lose(option, what, place)
    if "--disable-fallback" not in options:
        what = "unknown projects were redirected to another index; add a `remote` source for them"
        remarks.lose("--disable-fallback", what, place)
    return _draft(description, remarks, folders=paths, access=access)


def _draft(
    description: Description, remarks: Remarks, *, folders: list[Path], access: dict[str, Any]
) -> Draft:
    resources: list[DraftResource] = []
    reads: list[str] = []
    sources: list[dict[str, Any]] = [{"upload": {}}]
    for folder in folders:
        path = folder.resolve()
        if not path.is_dir():
            remarks.lose("package_directory", f"`{path}` is not on this machine")
            continue
        name = f"{_NAME}-files" + (f"-{len(reads) + 1}" if reads else "")
        resources.append(remote(name, {"url": f"{path}/"}, "The folder that pypiserver served."))
        reads.append(str(path))
        held = {"name": name, "everything": True, "sharedProjects": ["*"]}
        sources.append({"remote": held})
    return Draft(
        _NAME,
        f"Made from {description.path.name} of pypiserver.",
        [
            *resources,
            repository(_NAME, sources, "Uploads, and what the folder holds."),
            publication(_NAME, _NAME, access),
        ],
        remarks.all,
        reads,
    )


def holds_distributions(description: Description) -> bool:
    """Return True for a folder with distributions in it."""
    return description.is_folder and any(map(stem_and_type, description.names()))


def _command(description: Description) -> tuple[list[str], int]:
    """Return the words behind `pypi-server`, and their line. Raises Malformed."""
    lines = description.text(limit=LARGEST).splitlines()
    for number, line in enumerate(lines):
        if PROGRAM not in line or line.lstrip().startswith("#"):
            continue
        text = line
        for further in lines[number + 1 :]:
            if not text.rstrip().endswith("\\"):
                break
            text = f"{text.rstrip()[:-1]} {further}"
        try:
            words = shlex.split(text.partition(PROGRAM)[2], comments=True)
        except ValueError as error:
            raise Malformed(f"{description.place(line=number + 1)}: {error}") from None
        return words, number + 1
    raise Malformed(f"{description.place()}: no line runs `{PROGRAM}`")


def _parsed(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the folders and the options of a command line."""
    folders, options = [], {}
    waiting = iter(words)
    for word in waiting:
        if word in ("run", "&", "|", ">", "2>&1"):
            continue
        if word.startswith("--") and "=" in word:
            option, _, value = word.partition("=")
            options[_SHORT.get(option, option)] = value
        elif word.startswith("-") and word != "-":
            short, rest = (word[:2], word[2:]) if not word.startswith("--") else (word, "")
            option = _SHORT.get(short, short)
            options[option] = rest or ("" if short in _FLAGS else next(waiting, ""))
        else:
            folders.append(word)
    return folders or ["~/packages"], options


def _access(
    description: Description, options: dict[str, str], remarks: Remarks, *, place: str
) -> dict[str, Any]:
    """Return who may read and upload, as `-a` says; each user gets a secret of their own."""
    actions = {
        word for word in re.split(r"[,\s]+", options.get("--authenticate", "update")) if word
    }
    file = options.get("--passwords", "")
    users = _users(description, file)
    if file in ("", ".") and "update" in actions:
        return {}  # then pypiserver takes no uploads
    if "update" not in actions:
        remarks.lose("--authenticate", "uploads need credentials", place)
    rules: list[dict[str, Any]] = [
        {"username": user, "password": password(user)} for user in users
    ] or [{"token": password(_NAME, "TOKEN")}]
    what = "password hashes are not taken over: set the variables that the rules name"
    remarks.differ("--passwords", what, place)
    keys: dict[str, Any] = {"upload": rules}
    if actions & {"download", "list"}:
        keys["read"] = rules
    return {"access": keys}


def _path(description: Description, text: str) -> Path:
    """Return a path of the command line: of a user who is not on this machine it stays as it is."""
    path = Path(text)
    with suppress(RuntimeError):
        path = path.expanduser()
    return description.path.parent / path


def _users(description: Description, file: str) -> list[str]:
    """Return the users of an htpasswd file that is there."""
    path = _path(description, file) if file not in ("", ".") else None
    if path is None or not path.is_file():
        return []
    lines = Description(path).text(limit=_USERS_FILE).splitlines()
    names = [line.partition(":")[0].strip() for line in lines if ":" in line]
    return [name for name in dict.fromkeys(names) if _USER.fullmatch(name)]
