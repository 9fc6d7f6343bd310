"""Uploads where something is wrong: plugins that never come back, plugins that are gone, and files
that are in and cannot be shown.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from reconciler.cli import serve
from reconciler.engine import CallLimits
from reconciler.engine.plugin_calls import worker_pool
from reconciler.engine.plugin_calls.worker_pool import CONCURRENCY
from reconciler.engine.service import Service, uploaded_file
from reconciler.errors import Temporary, UsageFault
from reconciler.plugin import Artifact, GroupedUnit, Unit, UploadConduit, UploadedFile
from tests.support.advertised import shelf
from tests.support.asgi import AsgiResponse, Client
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository
from tests.support.scripted_plugins import LINE
from tests.support.soundness import check_sound
from tests.support.uploading import FORM, file_part, form

ACCESS = "access: {upload: [{token: {env: T_TOKEN}}]}"
BEARER = ("Authorization", "Bearer s3cret")
MINE = "upload: {}"
LIMIT = 1.0  # seconds that a plugin may take


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("T_TOKEN", "s3cret")
    with rehearsal(tmp_path) as site:
        site.declare(
            repository("team", MINE),
            repository("other", MINE),
            publication(more=ACCESS),
            publication("other", of="other", more=ACCESS),
        )
        site.applied()
        yield site


class Slow:
    """Uploads of files that are called `slow...` wait until they are released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.waiting = threading.Semaphore(0)

    def __call__(self, conduit: UploadConduit, file: UploadedFile) -> Iterable[GroupedUnit]:
        if file.name.startswith("slow"):
            self.waiting.release()
            self.released.wait(60)
        return [
            ("uploads", Unit(LINE, file.name, {}, [Artifact(file.name, file.sha256, file.size)]))
        ]


@pytest.fixture
def slow(site: Rehearsal) -> Iterator[Slow]:
    site.script.on_upload = found = Slow()
    yield found
    found.released.set()


def sent(client: Client, publication: str, name: str) -> asyncio.Task[AsgiResponse]:
    return asyncio.create_task(
        client.post(
            f"/{publication}/upload/",
            [form(file_part(name, name.encode()))],
            headers=[FORM, BEARER],
        )
    )


def test_plugins_that_never_come_back_hold_up_no_other_repository(
    site: Rehearsal, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the limit stands still, or passes the limit with every look at it."""
    now, pace = [0.0], [0.0]

    def clock() -> float:
        now[0] += pace[0]
        return now[0]

    monkeypatch.setattr(worker_pool, "monotonic", clock)

    async def talk(client: Client) -> None:
        hanging = [sent(client, "team", f"slow-{number}") for number in range(CONCURRENCY + 4)]
        for _ in range(CONCURRENCY):
            await asyncio.to_thread(slow.waiting.acquire)
        assert (await sent(client, "other", "quick")).status == 201
        assert (await client.get("/other/uploads/quick")).body == b"quick"
        pace[0] = 2 * LIMIT  # also for uploads that had to wait for a slot
        answers = [await upload for upload in hanging]
        pace[0] = 0.0
        for answer in answers:
            assert (answer.status, "retry-after" in answer.headers, "`team`" in answer.text) == (
                503,
                True,
                True,
            )
        assert (
            "`receive` of publisher `lines`, `upload` of importer `lines` for repository `team` did"
            " nothing" in (await hanging[0]).text
        )
        assert (await sent(client, "team", "quick")).status == 201

    site.limits = CallLimits(call=LIMIT)
    site.served(talk)
    slow.released.set()
    assert site.held() == ["uploads/quick"]


def test_what_comes_back_too_late_changes_nothing(site: Rehearsal, slow: Slow) -> None:
    path = site.folder / "slow"
    path.write_bytes(b"x")

    async def talk(service: Service) -> None:
        with pytest.raises(Temporary, match="it was given up"):
            await service.upload("team", uploaded_file(path), {}, principal="ada")
        slow.released.set()
        for thread in [thread for thread in threading.enumerate() if thread.name == "upload"]:
            await asyncio.to_thread(thread.join)

    asyncio.run(site.serviced(talk, limits=CallLimits(call=0.2)))
    assert site.held() == []
    assert site.number() == 0
    check_sound(site.home)


def test_a_plugin_that_is_gone_is_the_reason_that_is_told(
    site: Rehearsal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "no installed plugin provides the importer `lines`"
    with shelf() as nothing:
        site.registry = nothing.registry()
        answer = site.post("/team/upload/", file_part("mine", b"x"), headers=[BEARER])
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert "publication `team` cannot be used: " in answer.text
        assert "no installed plugin provides" in answer.text
        with pytest.raises(Temporary, match=f"repository `team` cannot be used: .*{reason}"):
            site.upload("mine", b"x")
        with pytest.raises(UsageFault, match=r"there is no repository `nothing`$"):
            site.upload("mine", b"x", to="nothing")
        monkeypatch.setattr("reconciler.serve.serve", lambda *arguments, **more: None)
        monkeypatch.setattr("reconciler.cli.settings.registry", lambda: site.registry)
        assert serve.command(home=site.home.root) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert [line.split(" cannot be used: ")[0] for line in warned] == [
        "warning: publication `other`",
        "warning: publication `team`",
        "warning: repository `other`",
        "warning: repository `team`",
    ]
    assert reason in warned[-1]


def unpublishable(site: Rehearsal) -> None:
    """From now on the publication `team` cannot be shown: something else is where it is exported
    to.
    """
    directory = site.folder / "export"
    site.declare(
        repository("team", MINE),
        publication(more=f"{ACCESS}, exports: [{{directory: {{path: '{directory}'}}}}]"),
    )
    site.applied()
    directory.unlink()
    directory.mkdir()


def test_a_file_that_is_in_and_not_shown_is_accepted_and_no_more(site: Rehearsal) -> None:
    unpublishable(site)
    for said_first in ("version 1 holds `uploads/mine`", "nothing new: version 1 holds it already"):
        answer = site.post("/team/upload/", file_part("mine", b"x"), headers=[BEARER])
        assert (answer.status, answer.text.splitlines()[0]) == (202, said_first)
        assert "publication `team` does not show it yet: " in answer.text
    (site.folder / "export").rmdir()
    answer = site.post("/team/upload/", file_part("mine", b"x"), headers=[BEARER])
    assert (answer.status, answer.text) == (201, "nothing new: version 1 holds it already\n")
    assert (site.folder / "export" / "uploads" / "mine").read_bytes() == b"x"


def test_commands_fail_where_something_is_not_shown(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from reconciler.cli import remove, upload

    monkeypatch.setattr("reconciler.cli.settings.registry", lambda: site.registry)
    file = site.folder / "mine"
    file.write_bytes(b"x")
    assert upload.command(["team", str(file)], home=site.home.root) == 0
    assert remove.command(["team", "mine"], home=site.home.root) == 0
    assert (
        capsys.readouterr().out
        == "mine: version 1 holds `uploads/mine`\nversion 2 no longer holds `uploads/mine`\n"
    )
    unpublishable(site)
    assert upload.command(["team", str(file)], home=site.home.root) == 1
    assert remove.command(["team", "mine"], home=site.home.root) == 1
    assert capsys.readouterr().out.count("does not show it yet") == 2
