"""Files that people bring: who may, what becomes of them, who was first, and that nothing is lost
however many come at once.
"""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import Checkpoint, Inspector, listen
from reconciler.engine.service import uploaded_file
from reconciler.engine.uploads import decided_changes, group_commits, receiving, recording
from reconciler.engine.uploads.recording import record_units
from reconciler.errors import Conflict, Gone, ManifestFaults, PluginFault, Refused, UsageFault
from reconciler.plugin import Artifact, GroupedUnit, StoredUnit, Unit, UploadConduit, UploadedFile
from tests.support.asgi import Client
from tests.support.beside import started
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository, rules
from tests.support.scripted_plugins import LINE
from tests.support.soundness import check_sound
from tests.support.uploading import FORM, file_part, form, text_part

TOKEN = "s3cret-token-of-the-team"  # of this test
ACCESS = "access: {upload: [{token: {env: T_TOKEN}}, {username: ada, password: {env: T_PASSWORD}}]}"
MINE = "upload: {}"


def basic(user: str, password: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


BEARER = ("Authorization", f"Bearer {TOKEN}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("T_TOKEN", TOKEN)
    monkeypatch.setenv("T_PASSWORD", "lovelace")
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"))
        site.declare(
            site.remote(), repository("team", "remote: {name: up}", MINE), publication(more=ACCESS)
        )
        site.applied()
        yield site


def test_an_uploaded_file_is_a_version_and_is_shown_at_once(site: Rehearsal) -> None:
    taken = site.upload("mine", b"my own")
    assert (taken.version, taken.keys, taken.shown, taken.delayed) == (
        2,
        ("mine",),
        ("/team/",),
        (),
    )
    assert site.held() == ["a/one", "uploads/mine"]
    [answer] = site.get("/team/uploads/mine")
    assert answer.body == b"my own"
    assert site.settled()
    check_sound(site.home)


def test_who_brought_it_is_in_the_history(site: Rehearsal) -> None:
    site.upload("mine", b"my own", principal="grace@example.org")
    [newest, *_] = site.ask(lambda reader: Inspector(reader, site.registry).history("team"))
    assert newest["provenance"]["principal"] == "grace@example.org"
    assert newest["provenance"]["plugin"]["id"] == "lines"


@pytest.mark.parametrize(
    ("header", "status", "principal"),
    [
        (BEARER, 201, "token"),
        (basic("__token__", TOKEN), 201, "token"),
        (basic("ada", "lovelace"), 201, "ada"),
        (basic("ada", "wrong"), 401, ""),
        (basic("grace", "lovelace"), 401, ""),
        (basic("ada", TOKEN), 401, ""),
        (("Authorization", "Bearer wrong"), 401, ""),
        (("Authorization", "Bearer"), 401, ""),
        (("Authorization", "Basic !!!"), 401, ""),
        (("X-Other", "1"), 401, ""),
    ],
)
def test_who_may(header: tuple[str, str], status: int, principal: str, site: Rehearsal) -> None:
    answer = site.post("/team/upload/", file_part("mine", b"my own"), headers=[header])
    assert answer.status == status, answer.text
    assert TOKEN not in answer.text
    assert site.number() == (2 if status == 201 else 1)
    if principal:
        [newest, *_] = site.ask(lambda reader: Inspector(reader, site.registry).history("team"))
        assert newest["provenance"]["principal"] == principal
    else:
        assert "www-authenticate" in answer.headers


def test_a_secret_that_is_not_there_lets_nobody_in(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("T_TOKEN")
    for text in ("", "None", "T_TOKEN"):
        assert (
            site.post(
                "/team/upload/", file_part("mine", b"x"), headers=[basic("__token__", text)]
            ).status
            == 401
        )
    monkeypatch.setenv("T_TOKEN", "")
    assert (
        site.post("/team/upload/", file_part("mine", b"x"), headers=[basic("__token__", "")]).status
        == 401
    )


def test_a_token_that_an_apply_took_away_is_worth_nothing_from_then_on(site: Rehearsal) -> None:
    """A server process remembers nothing of the manifests that is older than the last apply."""

    async def talk(client: Client) -> None:
        for status, access in ((201, ACCESS), (404, ""), (201, ACCESS)):
            site.declare(
                site.remote(),
                repository("team", "remote: {name: up}", MINE),
                publication(more=access),
            )
            await asyncio.to_thread(site.applied)
            sent = [form(file_part("mine", b"x"))]
            answer = await client.post("/team/upload/", sent, headers=[FORM, BEARER])
            assert answer.status == status, answer.text

    site.served(talk)


def test_a_publication_that_names_nobody_takes_nothing(site: Rehearsal) -> None:
    site.declare(site.remote(), repository("team", "remote: {name: up}", MINE), publication())
    site.applied()
    answer = site.post("/team/upload/", file_part("mine", b"x"), headers=[BEARER])
    assert answer.status == 404
    assert "access.upload" in answer.text


def test_a_repository_without_an_upload_source_takes_nothing(site: Rehearsal) -> None:
    site.declare(site.remote(), repository(), publication())
    site.applied()
    with pytest.raises(Refused, match="takes no uploads"):
        site.upload("mine", b"x")
    with pytest.raises(UsageFault, match="no repository `nothing`"):
        site.upload("mine", b"x", to="nothing")


def test_the_same_file_again_is_nothing_new(site: Rehearsal) -> None:
    site.upload("mine", b"my own")
    assert site.upload("mine", b"my own").keys == ()
    assert site.number() == 2


def test_other_bytes_under_a_name_replace_it_where_the_type_lets_them_and_conflict_where_not(
    site: Rehearsal,
) -> None:
    site.upload("mine", b"my own")
    site.upload("mine", b"another one")
    assert site.number() == 3
    site.script.replaceable = False
    answer = site.post("/team/upload/", file_part("mine", b"a third"), headers=[BEARER])
    assert answer.status == 409
    assert "`mine` is there already: it must not be replaced" in answer.text
    assert site.number() == 3


def test_a_name_of_an_earlier_source_conflicts(site: Rehearsal) -> None:
    answer = site.post(
        "/team/upload/", text_part("group", "a"), file_part("mine", b"x"), headers=[BEARER]
    )
    assert answer.status == 409
    assert "`a` belongs to remote:up" in answer.text
    assert "put `upload` first" in answer.text


def test_a_rule_refuses_with_its_reason(site: Rehearsal) -> None:
    site.declare(
        site.remote(),
        rules("deny: [mine]"),
        repository("team", "remote: {name: up}", MINE),
        publication(more=ACCESS),
    )
    site.applied()
    answer = site.post("/team/upload/", file_part("mine", b"x"), headers=[BEARER])
    assert (answer.status, "rules.deny" in answer.text) == (403, True)
    assert site.post("/team/upload/", file_part("other", b"x"), headers=[BEARER]).status == 201


def test_what_the_plugin_refuses_is_told_as_it_says_it(site: Rehearsal) -> None:
    answer = site.post("/team/upload/", file_part(".hidden", b"x"), headers=[BEARER])
    assert (answer.status, answer.text) == (400, "`.hidden` is hidden\n")
    assert site.post("/team/elsewhere/", file_part("mine", b"x"), headers=[BEARER]).status == 405


def test_overrides_hold_for_this_upload_alone(site: Rehearsal) -> None:
    path = site.folder / "mine"
    path.write_bytes(b"my own")

    def upload(*overrides: str) -> Any:
        return asyncio.run(
            site.serviced(
                lambda service: service.upload("team", uploaded_file(path), {}, principal="ada"),
                overrides=overrides,
            )
        )

    with pytest.raises(Refused, match="skipped"):
        upload("repository/team.skip=[mine]")
    with pytest.raises(ManifestFaults, match="unknown Repository `other`"):
        upload("repository/other.skip=[mine]")
    assert upload().version == 2


# Many at once


def test_many_files_into_one_group_all_land(site: Rehearsal) -> None:
    async def talk(client: Client) -> list[Any]:
        sent = [
            client.post(
                "/team/upload/", [form(file_part(f"file{n:02}", b"%d" % n))], headers=[FORM, BEARER]
            )
            for n in range(20)
        ]
        return list(await asyncio.gather(*sent))

    answers = site.served(talk)
    assert {response.status for response in answers} == {201}, [
        response.text for response in answers
    ]
    assert site.held() == ["a/one", *(f"uploads/file{n:02}" for n in range(20))]
    check_sound(site.home)
    [answer] = site.get("/team/uploads/file07")
    assert answer.body == b"7"
    assert site.settled()


def test_processes_do_not_lose_each_others_files(site: Rehearsal) -> None:
    processes = [
        started(site.folder, [f"{process}-{number}" for number in range(3)]) for process in range(3)
    ]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(site.held()) == 1 + 9
    check_sound(site.home)


def test_an_upload_does_not_wait_for_a_running_apply_which_plans_again(site: Rehearsal) -> None:
    """It comes while the apply holds its lease, into a group that the apply touches too; both end
    up in what is served.
    """
    site.says("a", site.file("one"), site.file("two"))
    site.says("uploads", site.file("hidden by the uploads"))
    site.declare(
        site.remote(), repository("team", MINE, "remote: {name: up}"), publication(more=ACCESS)
    )
    codes: list[int | None] = []

    def interrupt(reached: Checkpoint) -> None:
        if reached is Checkpoint.BEFORE_FLIP and not codes:
            codes.append(None)
            process = started(site.folder, ["mine"])
            process.join()
            codes[0] = process.exitcode

    listen(interrupt)
    try:
        site.applied()
    finally:
        listen(lambda reached: None)
    assert codes == [0]
    assert site.held() == ["a/one", "a/two", "uploads/mine"]
    site.applied()
    assert site.settled()
    check_sound(site.home)


@pytest.mark.parametrize("step", [Checkpoint.BYTES_WRITTEN, Checkpoint.POINTER_SET])
def test_a_server_that_dies_leaves_no_lie(step: Checkpoint, site: Rehearsal) -> None:
    process = started(site.folder, ["mine"], die_at=step)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    check_sound(site.home)
    assert site.upload("mine", b"mine").version == 2
    site.applied()
    [answer] = site.get("/team/uploads/mine")
    assert answer.body == b"mine"


# Taking out again


def test_what_was_uploaded_can_be_removed_and_nothing_else(site: Rehearsal) -> None:
    site.upload("mine", b"my own")
    with pytest.raises(Gone, match="nothing was uploaded"):
        site.remove("one")
    taken = site.remove("mine")
    assert (taken.version, taken.keys) == (3, ("mine",))
    assert site.held() == ["a/one"]
    assert [response.status for response in site.get("/team/uploads/mine")] == [404]
    assert site.settled()


@pytest.mark.parametrize("order", [(MINE, "remote: {name: up}"), ("remote: {name: up}", MINE)])
def test_a_remote_that_begins_to_list_an_uploaded_name_brings_nothing_under_it(
    site: Rehearsal, order: tuple[str, str]
) -> None:
    site.declare(site.remote(), repository("team", *order), publication())
    site.applied()
    site.upload("mine", b"my own", fields={"group": "new"})
    site.says("new", site.file("theirs"))
    site.applied()
    assert site.held() == ["a/one", "new/mine"]
    assert site.explain("new")["groups"] == [{"name": "new", "owner": "upload"}]


def test_an_emptied_name_is_free_for_the_next_source(site: Rehearsal) -> None:
    site.declare(site.remote(), repository("team", MINE, "remote: {name: up}"), publication())
    site.applied()
    site.upload("mine", b"my own", fields={"group": "a"})
    site.applied()
    assert site.held() == ["a/mine"]
    site.remove("mine")
    site.applied()
    assert site.held() == ["a/one"]


def test_the_plugin_says_what_leaves_along(site: Rehearsal) -> None:
    for name in ("mine", "mine.sig", "other"):
        site.upload(name, name.encode())

    def both(conduit: UploadConduit, units: Sequence[StoredUnit]) -> Iterable[StoredUnit]:
        keys = {name for unit in units for name in (unit.key, f"{unit.key}.sig")}
        return [unit for unit in conduit.units("uploads") if unit.key in keys]

    site.script.on_remove = both
    assert site.remove("mine").keys == ("mine", "mine.sig")
    assert site.held() == ["a/one", "uploads/other"]


@pytest.mark.parametrize("way", ["strangers", "without end", "raises"])
def test_a_removal_that_makes_no_sense_removes_nothing(way: str, site: Rehearsal) -> None:
    site.upload("mine", b"my own")

    def nonsense(conduit: UploadConduit, units: Sequence[StoredUnit]) -> Any:
        if way == "raises":
            raise ZeroDivisionError("oops")
        return ["stranger"] if way == "strangers" else iter(lambda: units[0], None)

    site.script.on_remove = nonsense
    with pytest.raises(PluginFault, match="`remove`"):
        site.remove("mine")
    assert site.held() == ["a/one", "uploads/mine"]


def test_uploads_stay_when_no_manifest_names_their_source_any_more(site: Rehearsal) -> None:
    site.upload("mine", b"my own")
    site.declare(site.remote(), repository(), publication())
    site.applied()
    assert site.held() == ["a/one", "uploads/mine"]


# Plugins that are no good


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda file: [], "made no unit"),
        (lambda file: ["nonsense"], "pairs"),
        (lambda file: iter(lambda: ("g", Unit(LINE, "x", {})), None), "more than"),
        (lambda file: [("g", Unit(LINE, "x", {}, [Artifact("../x", file.sha256)]))], "unsafe"),
        (
            lambda file: [("g", Unit(LINE, "x", {})), ("g", Unit(LINE, "x", {}))],
            "two units under the key `x`",
        ),
        (
            lambda file: [("g", Unit(LINE, "x", {}, [Artifact("x", "0" * 64, 1)]))],
            "not the file that was sent",
        ),
        (lambda file: [("g", Unit("other.type", "x", {}))], "other.type"),
        (lambda file: [][0], "IndexError"),
    ],
)
def test_an_upload_that_becomes_nonsense_changes_nothing(
    made: Any, said: str, site: Rehearsal
) -> None:
    site.script.on_upload = lambda conduit, file: made(file)
    answer = site.post("/team/upload/", file_part("mine", b"x"), headers=[BEARER])
    assert answer.status >= 400
    assert said in answer.text
    assert site.held() == ["a/one"]
    check_sound(site.home)


def test_a_secret_in_what_a_plugin_raises_is_not_told(site: Rehearsal) -> None:
    def leak(conduit: UploadConduit, file: UploadedFile) -> Iterable[GroupedUnit]:
        raise ValueError(f"cannot log in with {TOKEN}")

    site.script.on_upload = leak
    answer = site.post("/team/upload/", file_part("mine", b"x"), headers=[BEARER])
    assert answer.status == 500
    assert TOKEN not in answer.text
    with pytest.raises(PluginFault) as caught:
        site.upload("mine", b"x")
    assert TOKEN not in str(caught.value)


def test_a_conflicting_upload_is_tried_again_until_the_time_is_over(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]

    async def sleep(pause: float) -> None:
        seconds[0] += (decided_changes.COMMITTING.seconds or 0) / 2

    policy = replace(
        decided_changes.COMMITTING, sleep=sleep, clock=lambda: seconds[0], random=lambda: 0
    )
    monkeypatch.setattr(group_commits, "COMMITTING", policy)
    tries = []

    def conflicting(*arguments: Any, **named: Any) -> int:
        tries.append(arguments)
        raise Conflict("moved", retry_after=1)

    monkeypatch.setattr(recording, "commit", conflicting)
    with pytest.raises(Conflict):
        site.upload("mine", b"x")
    assert len(tries) == 3, "at the start, in the middle and at the end of the time"


@pytest.mark.parametrize(
    ("first", "second", "more"),
    [("a", "a/b", ""), ("a/b", "a", ""), ("readme", "README", ", exports: [{directory: out}]")],
)
def test_of_uploads_that_race_with_names_of_one_tree_one_is_refused(
    first: str, second: str, more: str, site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each passes the check of names; the commit compares with what came in since."""
    monkeypatch.setattr(site.registry.importer("lines").cls, "shared_groups", True)
    more = more.replace("out", f"{{path: '{site.folder}/out'}}")
    site.declare(site.remote(), repository("team", MINE), publication(more=ACCESS + more))
    site.script.on_upload = lambda conduit, file: [
        (f"bucket of {name}", Unit(LINE, name, {}, [Artifact(name, file.sha256, file.size)]))
        for name in [file.name.replace("_", "/")]
    ]
    site.applied()
    racing = [first.replace("/", "_")]

    def between_check_and_commit(*arguments: Any, **named: Any) -> None:
        record_units(*arguments, **named)
        while racing:
            site.upload(racing.pop(), b"first")

    monkeypatch.setattr(receiving, "record_units", between_check_and_commit)
    with pytest.raises(Refused, match=f"`{second}` (cannot lie beside|differs from) `{first}`"):
        site.upload(second.replace("/", "_"), b"second")
    assert [unit.key for unit in site.units()] == [first]
    assert site.upload("other", b"other").version == site.number()
