"""A site of a test's own: manifests, a home, and the command line run in this process."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.cli.main import run
from reconciler.engine import Home
from reconciler.model import stored_unit

HEAD = "apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did: exit code, standard output and error."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def resource(kind: str, name: str, spec: str) -> str:
    """One document; `spec` is YAML in block style, indented or not."""
    lines = "".join(f"  {line}\n" for line in spec.strip("\n").splitlines())
    return HEAD.format(kind=kind, name=name) + lines


def remote(url: str, name: str = "up", *, more: str = "retries: 0") -> str:
    return resource("Remote", name, f"type: python\nurl: {url}\n{more}")


def repository(
    name: str = "team", *, sources: Iterable[str] = ("name: up",), more: str = ""
) -> str:
    """`sources`: the flow mapping under `remote:`, without braces.

    Those that select by no key take everything, and say so.
    """
    listed = "".join(f"  - remote: {{{_in_words(source)}}}\n" for source in sources)
    return resource("Repository", name, f"type: python\nsources:\n{listed}{more}")


def _in_words(source: str) -> str:
    selecting = ("include:", "files:", "requirements:", "everything:")
    return source if any(key in source for key in selecting) else f"{source}, everything: true"


def publication(name: str = "team", *, more: str = "") -> str:
    return resource("Publication", name, f"repository: {name}\npath: {name}\n{more}")


def export(path: str) -> str:
    return f"exports:\n  - directory: {{path: {path}}}"


class Mirror:
    """Manifests in `<folder>/site.yaml`, state in `<folder>/home`."""

    def __init__(self, folder: Path, *documents: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.manifest = folder / "site.yaml"
        self.home = Home(folder / "home")
        self.declare(*documents)

    def declare(self, *documents: str) -> None:
        """These are the manifests from now on."""
        self.manifest.write_text("---\n".join(documents), encoding="utf-8")

    def words(self, verb: str, *words: str) -> list[str]:
        """The command line of a verb that reads manifests."""
        return [verb, str(self.manifest), "--home", str(self.home.root), *words]

    def apply(self, *words: str) -> Done:
        return call(self.words("apply", *words))

    def applied(self, *words: str) -> str:
        """Apply, which must succeed; what it printed."""
        done = self.apply(*words)
        assert done.code == 0, done.out + done.err
        return done.out

    def plan(self, *words: str) -> Done:
        return call(self.words("plan", *words))

    def changes(self, name: str = "team", *words: str) -> Any:
        """What a plan says of a repository's content."""
        changes = self.plan("--format", "json", *words).document["changes"]
        return next(
            change["content"]
            for change in changes
            if (change["kind"], change["name"]) == ("Repository", name)
        )

    def pending(self) -> bool:
        """Does a plan hold changes? It must be sound."""
        done = self.plan("--detailed-exitcode")
        assert done.code in (0, 2), done.out + done.err
        return done.code == 2

    def version(self, name: str = "team") -> tuple[int, str]:
        """Number and digest of the latest version, as recorded: `get` says the same, and costs
        what a command does.
        """
        with self.home.database() as database:
            state = database.reader().actual_state().repositories[name]
        return state.number, str(state.digest)

    def get(self, kind: str, name: str) -> Any:
        done = call(["get", kind, name, "-o", "json", "--home", str(self.home.root)])
        assert done.code == 0, done.err
        return done.document

    def filenames(self, name: str = "team") -> list[str]:
        """Keys of the distributions of the latest version."""
        with self.home.database() as database:
            reader = database.reader()
            state = reader.actual_state().repositories[name]
            held = list(reader.difference(state.id, 0, state.number))
        bodies = [difference.after for difference in held if difference.after is not None]
        return sorted(stored_unit(body).key for body in bodies)

    def files(self) -> list[str]:
        """Everything in the home, as relative paths."""
        root = self.home.root
        return (
            sorted(str(path.relative_to(root)) for path in root.rglob("*")) if root.exists() else []
        )


def call(words: list[str]) -> Done:
    """One run of the command line."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with redirect_stdout(out), redirect_stderr(err):
        code = run(words)
    return Done(code, _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
