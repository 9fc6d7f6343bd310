"""Marks on uploads and on a mirror: by hand and by manifest, shown, kept by syncs, undone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.plugin.registry import Registry
from reconciler.serve_adapter import assembled
from tests.support.asgi import AsgiResponse, Client, live
from tests.support.mirror import Done, Mirror, call, publication, remote, resource
from tests.support.uploading import FORM, form, text_part
from tests.support.upstream import Upstream, upstream
from tests.support.wheels import Built, build_sdist, build_wheel

ACME = build_wheel("acme", "1.0")
SDIST = build_sdist("foo", "1.0")
FOO = "foo-1.0-py3-none-any.whl"
JSON = "application/vnd.pypi.simple.v1+json"


class Site(Mirror):
    """Uploads beside a mirror, published."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        super().__init__(folder)
        self.says()

    def says(self, more: str = "", *, upload: str = "", access: str = "") -> None:
        sources = (
            f"sources:\n  - upload: {{{upload}}}\n  - remote: {{name: up, everything: true}}\n"
        )
        team = resource("Repository", "team", f"type: python\n{sources}{more}")
        self.declare(remote(self.url), team, publication(more=access))

    def do(self, *words: str) -> Done:
        return call([*words, "--home", str(self.home.root)])

    def done(self, *words: str) -> str:
        done = self.do(*words)
        assert done.code == 0, done.out + done.err
        return done.out

    def ask(self, path: str, at: str = "team") -> AsgiResponse:
        """Ask as a client that prefers JSON."""
        return self._talk(lambda client: client.get(f"/{at}/{path}", headers=[("accept", JSON)]))

    def manage(self, action: str, token: str = "", /, **fields: str) -> AsgiResponse:
        """Send a form below `manage/`."""
        body = form(*(text_part(name, text) for name, text in fields.items()))
        headers = [FORM, *([("authorization", f"Bearer {token}")] if token else [])]
        path = f"/team/manage/{action}"
        return self._talk(lambda client: client.post(path, [body], headers=headers))

    def _talk(self, ask: Callable[[Client], Awaitable[AsgiResponse]]) -> AsgiResponse:
        async def talk() -> AsgiResponse:
            application = assembled(self.home, Registry())
            try:
                return await ask(Client(application))
            finally:
                await live(application, "lifespan.startup", "lifespan.shutdown")

        return asyncio.run(talk())

    def page(self, project: str, at: str = "team") -> Any:
        return msgspec.json.decode(self.ask(f"simple/{project}/", at).body)

    def upload(self, built: Built) -> Done:
        path = self.folder / built.filename
        path.write_bytes(built.content)
        return self.do("upload", "team", str(path))

    def sha256(self, filename: str) -> str:
        project = filename.partition("-")[0]
        [file] = [each for each in self.page(project)["files"] if each["filename"] == filename]
        return str(file["hashes"]["sha256"])

    def yanked(self, project: str, at: str = "team") -> dict[str, Any]:
        """Return what the page says of each file of a project."""
        return {file["filename"]: file.get("yanked") for file in self.page(project, at)["files"]}


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        yield served


@pytest.fixture
def site(tmp_path: Path, index: Upstream) -> Site:
    """A mirror of two releases of `foo`, and an upload of `acme`."""
    index.release("foo", "1.0")
    index.release("foo", "2.0")
    made = Site(tmp_path, index.url)
    made.applied()
    assert made.upload(ACME).code == 0
    return made


def test_a_yank_by_hand_outlives_syncs_until_it_is_taken_back(site: Site, index: Upstream) -> None:
    before = site.version()[1]
    out = site.done("yank", "team", "Foo==1.0", "acme==1.0", "--reason", "broken")
    assert out == "version 3: yank Foo==1.0 acme==1.0, 2 units changed\n"
    assert site.yanked("foo") == {FOO: "broken", "foo-2.0-py3-none-any.whl": None}
    assert site.yanked("acme") == {ACME.filename: "broken"}
    assert "nothing changes" in site.done("yank", "team", "foo==1.0", "--reason", "broken")
    assert not site.pending(), "a sync neither undoes it nor has anything to write"
    index.offer("foo", SDIST)
    index.release("foo", "3.0")
    site.applied()
    assert [each for each, said in site.yanked("foo").items() if said] == [FOO, SDIST.filename]
    site.done("unyank", "team", "foo==1.0")
    site.done("unyank", "team", "acme==1.0")
    assert not any({**site.yanked("foo"), **site.yanked("acme")}.values())
    site.applied()
    assert not any(site.yanked("foo").values())
    assert site.do("unyank", "team", "acme==1.0").code == 1
    assert before != site.version()[1], "a release came meanwhile"


def test_what_upstream_says_comes_back_with_an_unyank(site: Site, index: Upstream) -> None:
    site.done("yank", "team", FOO, "--reason", "ours")
    index.say("foo", "1.0", yanked="theirs")
    site.applied()
    assert site.yanked("foo")[FOO] == "ours"
    site.done("unyank", "team", FOO)
    assert site.yanked("foo")[FOO] == "theirs"


def test_the_manifest_yanks_what_is_mirrored_and_what_is_uploaded(site: Site) -> None:
    before = site.version()[1]
    site.says("yank:\n  - {what: foo==1.0, reason: broken}\n  - {what: acme==1.0}\n")
    plan = site.plan().out
    assert '~ foo 1.0                      wheel   yanked: "broken"' in plan
    assert "~ acme 1.0                     wheel   yanked\n" in plan
    site.applied()
    assert (site.yanked("foo")[FOO], site.yanked("acme")) == ("broken", {ACME.filename: True})
    assert not site.pending()
    refused = site.do("unyank", "team", "acme==1.0")
    assert (refused.code, "the manifest of repository `team`" in refused.err) == (1, True)
    explained = site.done("explain", "team", "foo==1.0", "--offline")
    assert '  `foo==1.0` is yanked by the manifest: "broken"\n' in explained
    site.says()
    site.applied()
    assert site.version()[1] == before, "what `git revert` takes away leaves no trace"


def test_the_status_of_a_project_is_shown_and_a_quarantine_withholds_it(site: Site) -> None:
    before, file = site.version()[1], f"files/foo/{site.sha256(FOO)}/{FOO}"
    site.done("mark", "team", "acme", "archived", "--reason", "use foo")
    assert site.page("acme")["project-status"] == {"status": "archived", "reason": "use foo"}
    site.done("mark", "team", "foo", "quarantined")
    assert (site.ask("simple/foo/").status, site.ask(file).status) == (404, 404)
    assert not site.pending()
    site.done("unmark", "team", "foo", "acme")
    assert (site.ask(file).status, "project-status" in site.page("acme")) == (200, False)
    assert site.version()[1] == before
    history = site.do("history", "team", "-o", "json").document
    assert [each["provenance"]["action"] for each in history[:2]] == [
        "unmark foo acme",
        "mark foo quarantined",
    ]
    assert all(each["provenance"]["principal"] for each in history)


def test_a_removed_name_comes_back_with_its_bytes_alone(site: Site) -> None:
    """An installer that has the file, or its digest in a lock, must not meet another one."""
    other = build_wheel("acme", "1.0", padding=b"other")
    assert other.content != ACME.content
    site.done("remove", "team", ACME.filename)
    assert site.upload(ACME).code == 0, "the same bytes are the same file"
    site.done("remove", "team", ACME.filename)
    refused = site.upload(other)
    assert (refused.code, "comes back with the same bytes alone" in refused.err) == (1, True)
    explained = site.done("explain", "team", ACME.filename, "--offline")
    assert f"  `{ACME.filename}` was removed by " in explained
    site.says(upload="reuseNames: true")
    site.applied()
    assert site.upload(other).code == 0
    assert "was removed by" not in site.done("explain", "team", ACME.filename, "--offline")


def test_restoring_brings_uploads_back_and_no_mirrored_content(site: Site, index: Upstream) -> None:
    site.done("remove", "team", ACME.filename)
    assert site.upload(build_wheel("other", "1.0")).code == 0
    index.drop("foo")
    site.applied("--allow-destroy")
    assert site.filenames() == ["other-1.0-py3-none-any.whl"]
    out = site.done("restore", "team", "--to", "2")
    assert out == "version 6 holds the uploads of version 2, 2 units changed\n"
    assert site.filenames() == [ACME.filename], "what upstream took away stays away"
    assert site.yanked("acme") == {ACME.filename: None}
    assert "nothing changes" in site.done("restore", "team", "--to", "2")
    assert site.upload(build_wheel("other", "1.0", padding=b"x")).code == 1, "its name is kept"
    missing = site.do("restore", "team", "--to", "99")
    assert (missing.code, "has no version 99" in missing.err) == (1, True)


def test_nothing_is_added_to_an_archived_project(site: Site) -> None:
    site.done("mark", "team", "acme", "archived")
    refused = site.upload(build_wheel("acme", "2.0"))
    assert (refused.code, "is archived: nothing is added to it" in refused.err) == (1, True)
    assert site.upload(ACME).code == 0, "what is there already is no addition"


def test_a_mark_on_a_copy_leaves_the_marks_of_its_origin(site: Site) -> None:
    """Kind: a yank of one release that offers another one again."""
    site.done("yank", "team", "foo==2.0", "--reason", "insecure")
    copy = resource("Repository", "copy", "type: python\nsources:\n  - repository: {name: team}\n")
    shown = resource("Publication", "copy", "repository: copy\npath: copy")
    site.manifest.write_text("---\n".join([site.manifest.read_text(), copy, shown]))
    site.applied()
    first, second = (f"foo-{version}-py3-none-any.whl" for version in ("1.0", "2.0"))
    for what in ("foo==1.0", FOO):  # the second finds marks of its own in the project
        site.done("yank", "copy", what, "--reason", "broken")
        assert site.yanked("foo", "copy") == {first: "broken", second: "insecure"}
    for what in ("foo==1.0", FOO):
        site.done("unyank", "copy", what)
    assert site.yanked("foo", "copy") == {first: None, second: "insecure"}


def test_managers_do_the_same_over_http_within_their_scope(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL", "all-of-it")
    monkeypatch.setenv("SOME", "some-of-it")
    assert site.manage("yank", "all-of-it", what="foo==1.0").status == 404, "no such rule"
    rules = "{token: {env: ALL}, username: ada}, {token: {env: SOME}, projects: [acme]}"
    site.says(access=f"access:\n  manage: [{rules}]\n")
    site.applied()
    assert site.manage("yank", what="foo==1.0").status == 401
    assert site.manage("yank", "some-of-it", what="foo==1.0").status == 403
    assert site.manage("remove", "some-of-it", what=FOO).status == 404, "it was not uploaded"
    assert site.manage("burn", "all-of-it", what="foo==1.0").status == 405
    done = site.manage("yank", "all-of-it", what="foo==1.0", reason="broken")
    assert (done.status, done.text) == (200, "version 3: yank foo==1.0, 1 unit changed\n")
    assert site.yanked("foo")[FOO] == "broken"
    hidden = site.manage("unyank", "some-of-it", what="acme==1.0")
    assert (hidden.status, "foo" in hidden.text) == (404, False), "nothing is told of other names"
    assert site.manage("yank", "all-of-it", what="foo==9").status == 404
    assert site.manage("yank", "all-of-it", what="foo").status == 400
    assert site.manage("mark", "some-of-it", what="acme").status == 400, "and no status"
    assert site.manage("mark", "some-of-it", what="acme", status="archived").status == 200
    assert site.manage("unmark", "some-of-it", what="acme").status == 200
    assert site.manage("unyank", "all-of-it", what="foo==1.0").status == 200
    assert site.manage("remove", "some-of-it", what=ACME.filename).status == 200
    history = site.do("history", "team", "-o", "json").document
    principals = [each["provenance"]["principal"] for each in history[:5]]
    assert principals == ["token", "ada", "token", "token", "ada"]


def test_a_type_without_marks_says_so_where_the_key_stands(tmp_path: Path) -> None:
    yank = "yank:\n  - {what: report.txt}\n"
    files = resource("Repository", "files", f"type: file\nsources:\n  - upload: {{}}\n{yank}")
    site = Mirror(tmp_path, files)
    done = site.plan()
    assert (done.code, "content of type `file` cannot be yanked" in done.err) == (1, True)
    assert f"{site.manifest}:8:3" in done.err
