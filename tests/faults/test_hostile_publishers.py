"""Publishers that write where they must not, do not finish or answer nonsense, and files that are
taken badly: others are published all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import Conflict
from reconciler.plugin import Artifact, Gone, Redirect, Refused, StoredArtifact, Unit
from reconciler.serve import Application, Catalogue
from reconciler.serve_adapter import PublisherSuggestions
from tests.support.asgi import Client
from tests.support.hostile import FAILURES, Hostile, assert_named, begin, plugins, render

TYPE = "bad.thing"
Act = Callable[[Any, Any], Any]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin(tmp_path_factory.mktemp("begun"), pytest.MonkeyPatch(), uploads=True)


@pytest.fixture
def site(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hostile:
    site = Hostile(tmp_path, begun, monkeypatch)
    site.declare(2, uploads=True)
    return site


def acting(act: Callable[[], None]) -> Callable[..., Any]:
    """The same, whatever it is given."""
    return lambda *arguments: act()


def publishing(act: Act) -> dict[str, Any]:
    """A publisher that does this in the group `alpha`, after what is right."""

    def publish(self: Any, conduit: Any, config: Any) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name) as output:
                render(conduit, name, output)
                if name == "alpha":
                    act(conduit, output)
        with conduit.whole_repository() as output:
            output.page("index/", b"all", "text/html")

    return {"publish": publish}


def assert_still_served(site: Hostile, publisher: dict[str, Any], *says: str) -> None:
    """The pointer stays, the content is there, and the next publisher shows it."""
    assert_named(
        site,
        site.apply(None, publisher),
        "publication/bad: failed: publisher `bad` of publication/bad",
        *says,
    )
    assert site.versions() == {"bad": (2, 1), "sound": (2, 2)}
    assert site.served() == {"index/", "alpha/", "beta/"}
    assert site.page("alpha/") == b"alpha-0"


@pytest.mark.parametrize("name", FAILURES)
def test_a_publisher_that_fails_midway_leaves_the_pointer_where_it_was(
    name: str, site: Hostile
) -> None:
    act, said = FAILURES[name]
    assert_still_served(site, publishing(lambda conduit, output: act()), said)
    assert site.apply().code == 0
    assert site.page("alpha/") == b"alpha-0 alpha-1"


def paging(path: Any) -> Act:
    return lambda conduit, output: output.page(path, b"", "text/html")


OUTPUTS: dict[str, tuple[Act, str]] = {
    **{
        f"the path {path[:20]!r}": (paging(path), "the unsafe path ")
        for path in (
            "/",
            "../x",
            "/etc/passwd",
            "a/../../x",
            "..\\x",
            "a//b",
            "a\0b",
            "a\nb",
            "\x1b[2J",
            "x" * 5000,
            "\u202ea",
            "half \ud800",
        )
    },
    "a path that is a number": (paging(5), "a path for the group `alpha` is of the type `int`"),
    "a text as page": (
        lambda conduit, output: output.page("x", "text", "text/html"),
        "the body is of the type `str`, not bytes",
    ),
    "a generator as page": (
        lambda conduit, output: output.page("x", (b"" for _ in ()), "text/html"),
        "the body is of the type `generator`",
    ),
    "no media type": (
        lambda conduit, output: output.page("x", b"", None),
        "`x` for the group `alpha`: None is not a media type",
    ),
    "a media type with a line end": (
        lambda conduit, output: output.page("x", b"", "text/html\r\nX: y"),
        "is not a media type",
    ),
    "aliases that are none": (
        lambda conduit, output: output.page("x", b"", "text/html", aliases=("a\nb",)),
        "is not a media type",
    ),
    "aliases that are a number": (
        lambda conduit, output: output.page("x", b"", "text/html", aliases=5),
        "TypeError",
    ),
    "one path twice": (
        lambda conduit, output: output.page("alpha/", b"", "text/html"),
        "`alpha/` is emitted twice as `text/html` for the group `alpha`",
    ),
    "the path of another group": (
        lambda conduit, output: output.page("beta/", b"", "text/html"),
        "`beta/`",
    ),
    "a file of another repository": (
        lambda conduit, output: output.file("x", StoredArtifact("x", "0" * 64, 1)),
        "which is not an artifact of its units",
    ),
    "a file whose digest is a path": (
        lambda conduit, output: output.file("x", StoredArtifact("x", "../../etc/passwd", 1)),
        "which is not an artifact of its units",
    ),
    "a digest in the place of a file": (
        lambda conduit, output: output.file("x", "0" * 64),
        "which is not an artifact of its units",
    ),
    "a group that is not there": (
        lambda conduit, output: conduit.group("gamma").__enter__(),
        "the group `gamma` is opened, and version 2 holds no such group",
    ),
    "a group that is a number": (
        lambda conduit, output: conduit.group(5),
        "the name of a group must be a string, not of the type `int`",
    ),
    "a group twice": (
        lambda conduit, output: conduit.group("alpha").__enter__(),
        "the group `alpha` is opened twice",
    ),
    "a note that is no JSON": (
        lambda conduit, output: conduit.set_scratchpad({1}),
        "a scratchpad is plain JSON",
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_cannot_be_served_is_named_and_nothing_of_it_is(name: str, site: Hostile) -> None:
    act, said = OUTPUTS[name]
    assert_still_served(site, publishing(act), said)


def never(self: Any, conduit: Any, config: Any) -> None:
    with conduit.whole_repository() as output:
        output.page("index/", b"all", "text/html")


def kept_open(self: Any, conduit: Any, config: Any) -> None:
    for name in conduit.changed_groups():
        self.kept = conduit.group(name)
        self.kept.__enter__()


def swallowed(self: Any, conduit: Any, config: Any) -> None:
    for name in conduit.changed_groups():
        try:
            with conduit.group(name) as output:
                output.page("../x", b"", "text/html")
        except Exception:
            continue


async def awaited(self: Any, conduit: Any, config: Any) -> None:
    return None


async def generated(self: Any, conduit: Any, config: Any) -> Any:
    yield None


@pytest.mark.parametrize(
    ("publish", "said"),
    [
        (never, "the group `alpha` differs and was not opened: its old files would stay"),
        (
            lambda self, conduit, config: None,
            "the group `alpha` differs and was not opened: its old files would stay",
        ),
        (
            lambda self, conduit, config: (name for name in conduit.changed_groups()),
            "the group `alpha` differs and was not opened",
        ),
        (kept_open, "the group `alpha` was opened and not finished: its old files would stay"),
        (swallowed, "the group `alpha` was opened and not finished: its old files would stay"),
        (lambda self, *given: awaited(self, *given), "`publish` is `async`"),
        (lambda self, *given: generated(self, *given), "`publish` is `async`"),
        (lambda self, conduit: None, "TypeError"),
    ],
    ids=[
        "no group",
        "nothing",
        "a generator",
        "kept open",
        "swallowed",
        "async",
        "async generator",
        "other parameters",
    ],
)
def test_what_is_not_finished_is_not_shown(publish: Any, said: str, site: Hostile) -> None:
    assert_still_served(site, {"publish": publish}, said)


def test_an_output_that_was_kept_writes_nothing(site: Hostile) -> None:
    kept: list[Any] = []
    done = site.apply(None, publishing(lambda conduit, output: kept.extend((conduit, output))))
    assert done.code == 0, done.out
    conduit, output = kept
    for call in (
        lambda: output.page("x", b"", "text/html"),
        lambda: conduit.group("alpha"),
        conduit.changed_groups,
        conduit.whole_repository,
    ):
        with pytest.raises(Exception, match="after its call had returned"):
            call()


@pytest.mark.parametrize("name", FAILURES)
def test_a_publication_whose_configuration_is_refused_is_not_recorded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, said = FAILURES[name]
    (tmp_path / "nothing").mkdir()
    site = Hostile(tmp_path, tmp_path / "nothing", monkeypatch)
    assert_named(
        site, site.apply(None, {"validate_config": acting(act)}), "publication/bad: failed", said
    )
    assert site.versions_of("sound") == (1, 1)
    with site.home.database() as database:
        actual = database.reader().actual_state()
    assert (actual.repositories["bad"].number, "bad" in actual.publications) == (1, False)


# What was meant by a path


MEANT: dict[str, Callable[..., Any]] = {
    **{
        f"raises {name}": acting(act)
        for name, (act, _) in FAILURES.items()
        if name != "CancelledError"
    },
    "says a text": lambda cls, conduit, path: "alpha/",
    "says a number": lambda cls, conduit, path: 5,
    "redirects to a number": lambda cls, conduit, path: Redirect(5),  # type: ignore[arg-type]
    "redirects to itself": lambda cls, conduit, path: Redirect(path),
    "redirects to and fro": lambda cls, conduit, path: Redirect(path[::-1]),
    "redirects to another host": lambda cls, conduit, path: Redirect("//host.invalid/alpha/"),
    "redirects upwards": lambda cls, conduit, path: Redirect("../sound/alpha/"),
    "redirects to the root": lambda cls, conduit, path: Redirect("/"),
    "redirects with a header": lambda cls, conduit, path: Redirect("alpha/\r\nSet-Cookie: a=b"),
    "redirects far": lambda cls, conduit, path: Redirect("x" * 10_000_000),
}


@pytest.mark.parametrize("name", MEANT)
def test_a_path_that_is_not_there_stays_a_404_whatever_a_publisher_means(
    name: str, site: Hostile, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> int:
        with (
            plugins({}, {"missing": classmethod(MEANT[name])}, {}) as registry,
            site.home.database() as database,
        ):
            client = Client(
                Application(
                    Catalogue(database.reader(), site.home.store()), PublisherSuggestions(registry)
                )
            )
            assert (await client.get("/bad/alpha/")).status == 200
            return (await client.get("/bad/gamma")).status

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(ask()) == 404
    assert all(
        record.exc_info is None
        and record.getMessage().isprintable()
        and len(record.getMessage()) < 5_000
        for record in caplog.records
    )
    assert bool(caplog.records) is name.startswith(("raises", "says"))


# Files that are taken, and units that leave


def uploading(answer: Callable[[Any], Any]) -> dict[str, Any]:
    return {"upload": lambda self, conduit, file, fields, config: answer(file)}


def thing(file: Any, key: str = "sent", group: str = "alpha", **words: Any) -> tuple[str, Unit]:
    return group, Unit(
        TYPE, key, {}, [Artifact("sent", **{"sha256": file.sha256, "size": file.size, **words})]
    )


async def coroutine() -> None:
    return None


CALL = "`upload` of importer `bad` for repository `bad`"
SENT: dict[str, tuple[Callable[[Any], Any], str]] = {
    **{f"raises {name}": (acting(act), said) for name, (act, said) in FAILURES.items()},
    "nothing": (lambda file: [], f"{CALL} made no unit of `sent.txt`"),
    "None": (lambda file: None, f"{CALL}: an upload becomes (group, unit) pairs, not NoneType"),
    "a coroutine": (
        lambda file: coroutine(),
        f"{CALL}: an upload becomes (group, unit) pairs, not coroutine",
    ),
    "units": (
        lambda file: [thing(file)[1]],
        f"{CALL}: an upload becomes (group, unit) pairs: Unit(",
    ),
    "texts": (lambda file: ["ab"], f"{CALL}: an upload becomes (group, unit) pairs: 'ab' is none"),
    "no end of units": (lambda file: repeat(thing(file)), f"{CALL}: an upload becomes more than"),
    "other bytes": (
        lambda file: [thing(file, sha256="0" * 64)],
        "unit `sent`: artifact `sent` is not the file that was sent",
    ),
    "an unsafe path": (
        lambda file: [("alpha", Unit(TYPE, "sent", {}, [Artifact("../x", file.sha256)]))],
        "unit `sent` has an unsafe artifact path: '../x'",
    ),
    "a float": (
        lambda file: [("alpha", Unit(TYPE, "sent", {"a": 1.5}))],
        "unit `sent` has metadata that is not plain JSON",
    ),
    "a group without a name": (
        lambda file: [thing(file, group="\x1b")],
        "unit 'sent' has an unusable group: '\\x1b'",
    ),
    "one key twice": (
        lambda file: [thing(file), thing(file)],
        "holds two units under the key `sent`",
    ),
    "a foreign type": (
        lambda file: [("alpha", Unit("sound.thing", "sent", {}))],
        "unit `sent` has the type `sound.thing`",
    ),
}


@pytest.mark.parametrize("name", SENT)
def test_a_file_that_is_taken_badly_is_not_taken(name: str, site: Hostile) -> None:
    answer, said = SENT[name]
    (site.folder / "sent.txt").write_text("bytes")
    shared = {"shared_groups": True}  # so that a group of the remote's may be added to
    done = site.run(
        "upload",
        "bad",
        str(site.folder / "sent.txt"),
        spoilt=({**shared, **uploading(answer)}, {}, {}),
    )
    assert done.code == 1
    assert said in done.err
    assert "Traceback" not in done.err
    assert all(line.isprintable() for line in done.err.split("\n"))
    assert len(done.err) < 5_000
    assert site.versions() == {"bad": (1, 1), "sound": (1, 1)}


@pytest.mark.parametrize("error", [Refused, Gone, Conflict])
def test_what_a_plugin_says_to_an_uploader_is_a_line(error: Any, site: Hostile) -> None:
    def refuse(file: Any) -> Any:
        raise error("no\x1b[2J\n" + "x" * 10_000_000, hint="neither\nso")

    (site.folder / "sent.txt").write_text("bytes")
    done = site.run(
        "upload", "bad", str(site.folder / "sent.txt"), spoilt=(uploading(refuse), {}, {})
    )
    assert done.code == 1
    assert "no [2J xxx" in done.err
    assert len(done.err) < 3_000


LEAVING: dict[str, tuple[Callable[[Any], Any], str]] = {
    **{f"raises {name}": (acting(act), said) for name, (act, said) in FAILURES.items()},
    "None": (lambda units: None, "`remove` of importer `bad` for repository `bad`"),
    "a coroutine": (lambda units: coroutine(), "`remove` of importer `bad` for repository `bad`"),
    "texts": (lambda units: ["sent"], "`remove` of importer `bad` for repository `bad`: "),
    "no end of units": (
        lambda units: repeat(units[0]),
        "`remove` of importer `bad` for repository `bad`: ",
    ),
}


@pytest.mark.parametrize("name", LEAVING)
def test_a_unit_that_is_removed_badly_stays(name: str, site: Hostile) -> None:
    (site.folder / "sent.txt").write_text("bytes")
    words = ("upload", "bad", str(site.folder / "sent.txt"))
    assert (
        site.run(*words, spoilt=(uploading(lambda file: [thing(file, group="gamma")]), {}, {})).code
        == 0
    )
    answer, said = LEAVING[name]
    done = site.run(
        "remove",
        "bad",
        "sent",
        spoilt=({"remove": lambda self, conduit, units: answer(units)}, {}, {}),
    )
    assert done.code == 1
    assert said in done.err
    assert "Traceback" not in done.err
    assert all(line.isprintable() for line in done.err.split("\n"))
    assert site.held()["gamma"] == ["sent"]
