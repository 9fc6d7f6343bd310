"""A package index on loopback whose content a test changes at will, and that lies and stumbles
where the test says so.

    with upstream() as index:
        index.release("alpha", "1.0", "1.1")
        index.on(index.page_path("alpha"), status(503))     # answers of tests.support.faulty
        ...
        assert index.downloads() == {"alpha-1.0-py3-none-any.whl": 1, ...}

Pages are JSON of the simple API, with entity tags; files and the core metadata of wheels lie under
`/files/`.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.faulty import Answer, FaultyServer, Request, body, running
from tests.support.wheels import Built, build_wheel

JSON = "application/vnd.pypi.simple.v1+json"


@dataclass
class Listed:
    """One file as its project's page shows it. `keys`: what the page says of it besides name, place
    and digests.
    """

    built: Built
    keys: dict[str, Any] = field(default_factory=dict)


class Upstream:
    """The index. Every method may be called at any time; what is faulty stays so until it is set
    again.
    """

    def __init__(self, server: FaultyServer) -> None:
        self._server = server
        self._projects: dict[str, list[Listed]] = {}
        self._files: dict[str, Built] = {}
        self.backwards = False

    @property
    def url(self) -> str:
        return self._server.url("/simple/")

    @property
    def requests(self) -> list[Request]:
        return self._server.requests

    def offer(self, project: str, *files: Built, **keys: Any) -> None:
        """Add distributions as they are; `keys`: the page's other keys."""
        for built in files:
            self._projects.setdefault(project, []).append(Listed(built, keys))
            self._files[built.filename] = built
            self.on(self.file_path(built.filename), body(built.content))
            self.on(self.file_path(f"{built.filename}.metadata"), body(built.metadata))
        self._show(project)

    def release(
        self, project: str, *versions: str, padding: int = 0, salt: str = "", **keys: Any
    ) -> None:
        """Add one wheel per version; `padding`: incompressible bytes, others for every `salt`;
        `keys`: the page's other keys (`yanked="why"`).
        """
        paddings = {
            version: random.Random(f"{project} {version} {salt}").randbytes(padding)
            for version in versions
        }
        self.offer(
            project,
            *(
                build_wheel(project, version, padding=padding)
                for version, padding in paddings.items()
            ),
            **keys,
        )

    def withdraw(self, project: str, version: str) -> None:
        """Take one release off its page; the file itself stays where it was."""
        self._projects[project] = [
            file for file in self._projects[project] if f"-{version}-" not in file.built.filename
        ]
        self._show(project)

    def say(self, project: str, version: str, **keys: Any) -> None:
        """Say something else about a release."""
        for file in self._projects[project]:
            if f"-{version}-" in file.built.filename:
                file.keys = keys
        self._show(project)

    def replace(self, project: str, version: str) -> None:
        """Other bytes under the same filename."""
        self.withdraw(project, version)
        self.release(project, version, padding=64, salt="replaced")

    def drop(self, project: str) -> None:
        """The project is gone: 404, and not listed any more."""
        del self._projects[project]
        self._server.on(self.page_path(project))
        self._show_list()

    def turn(self) -> None:
        """List everything the other way round."""
        self.backwards = not self.backwards
        for project in self._projects:
            self._show(project)

    def restore(self) -> None:
        """Every page and file is sound again."""
        for project, files in self._projects.items():
            self._show(project)
            for file in files:
                self.on(self.file_path(file.built.filename), body(file.built.content))

    def on(self, path: str, *answers: Answer) -> None:
        """Answer with these instead, the last one for good."""
        self._server.on(path, *answers)

    def page(self, project: str) -> bytes:
        files = [_entry(file) for file in self._projects[project]]
        document = {
            "meta": {"api-version": "1.1"},
            "name": project,
            "files": files[::-1] if self.backwards else files,
        }
        return json.dumps(document).encode()

    def sent(self, filename: str) -> bytes:
        """The bytes of a file, also of one that is listed no more."""
        return self._files[filename].content

    @staticmethod
    def page_path(project: str) -> str:
        return f"/simple/{project}/"

    @staticmethod
    def file_path(filename: str) -> str:
        return f"/files/{filename}"

    def downloads(self) -> dict[str, int]:
        """How often each file was asked for."""
        return dict(
            Counter(
                request.path.removeprefix("/files/")
                for request in self.requests
                if request.path.startswith("/files/")
            )
        )

    def forget(self) -> None:
        """Begin to count anew."""
        self.requests.clear()

    def _show(self, project: str) -> None:
        self._server.on(
            self.page_path(project), body(self.page(project), content_type=JSON, conditional=True)
        )
        self._show_list()

    def _show_list(self) -> None:
        names = [{"name": name} for name in self._projects]
        document = {
            "meta": {"api-version": "1.1"},
            "projects": names[::-1] if self.backwards else names,
        }
        self._server.on(
            "/simple/", body(json.dumps(document).encode(), content_type=JSON, conditional=True)
        )


@contextmanager
def upstream() -> Iterator[Upstream]:
    """An empty index, served from a thread of its own."""
    with running(lambda server: None) as server:
        yield Upstream(server)


def _entry(file: Listed) -> dict[str, Any]:
    built = file.built
    return {
        "filename": built.filename,
        "url": f"../../files/{built.filename}",
        "hashes": {"sha256": built.sha256},
        "size": len(built.content),
        **(
            {"core-metadata": {"sha256": built.metadata_sha256}}
            if built.filename.endswith(".whl")
            else {}
        ),
        **file.keys,
    }
