"""What a publisher may do with its conduit, what it may not, and what becomes of a publication when
it does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.database import Outcome
from reconciler.plugin import Output, PluginFault, PublishConduit, StoredArtifact
from tests.support.advertised import shelf
from tests.support.hooked import (
    Behaviour,
    Hooked,
    outcome,
    plugins,
    publication,
    render,
    repository,
)

Rendering = Callable[[PublishConduit], None]


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def site(tmp_path: Path, behaviour: Behaviour) -> Iterator[Hooked]:
    with shelf() as shelves:
        yield Hooked(tmp_path, plugins(shelves, behaviour))


def published(
    site: Hooked, behaviour: Behaviour, rendering: Rendering, *, groups: str = "a: [one], b: [two]"
) -> Outcome:
    """What becomes of publication `team` when it is rendered so; a failure changes nothing that is
    served.
    """
    behaviour.rendering = rendering
    site.declare(repository(groups=groups), publication())
    report = site.apply()
    assert outcome(report, "repository/team").result in ("done", "unchanged")
    return outcome(report, "publication/team")


def refused(
    site: Hooked, behaviour: Behaviour, rendering: Rendering, *, groups: str = "a: [one], b: [two]"
) -> str:
    """Likewise for one that must fail: what is said of it, without publisher and publication, which
    it must name.
    """
    known = "publication/team" in site.recorded() if site.home.root.exists() else False
    before = site.served() if known else {}
    found = published(site, behaviour, rendering, groups=groups)
    assert found.result == "failed"
    begin = "publisher `notes` of publication/team"
    assert found.message.startswith(begin)
    assert site.served() == before
    return found.message.removeprefix(begin).removeprefix(": ")


def emitting(*pages: tuple[str, str], whole: tuple[str, ...] = ()) -> Rendering:
    """Emits the (group, path) pairs."""

    def rendering(conduit: PublishConduit) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name) as output:
                for path in (path for group, path in pages if group == name):
                    output.page(path, name.encode(), "text/plain")
        with conduit.whole_repository() as output:
            for path in whole:
                output.page(path, b"whole", "text/plain")

    return rendering


def test_what_depends_on_the_names_of_groups_is_kept_while_these_stay(
    site: Hooked, behaviour: Behaviour
) -> None:
    changed: list[bool] = []

    def listing(conduit: PublishConduit) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name):
                pass
        changed.append(conduit.groups_changed)
        if not conduit.groups_changed:
            conduit.keep_whole_repository()
            return
        with conduit.whole_repository() as output:
            output.page("names", " ".join(conduit.groups()).encode(), "text/plain")

    for groups, names in (
        ("a: [one], b: [two]", b"a b"),
        ("a: [one, three], b: [four]", b"a b"),
        ("a: [one], b: [four], c: [two]", b"a b c"),
        ("b: [four], c: [two]", b"b c"),
        ("b: [four], c: [three]", b"b c"),
    ):
        assert published(site, behaviour, listing, groups=groups).result == "done"
        assert site.served()["names"] == ("text/plain", len(names))
    assert changed == [True, False, True, True, False]

    def keeping(conduit: PublishConduit) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name):
                pass
        conduit.keep_whole_repository()

    assert "cannot be kept" in refused(site, behaviour, keeping, groups="b: [four], d: [three]")


def test_everything_refuses_once_the_call_has_returned(site: Hooked, behaviour: Behaviour) -> None:
    kept: dict[str, Any] = {}

    def keep(conduit: PublishConduit) -> None:
        render(conduit)
        kept["conduit"], kept["group"] = conduit, conduit.group("a")
        for name in ("changed_groups", "groups"):
            kept[name] = getattr(conduit, name)()
            next(kept[name])

    assert published(site, behaviour, keep).result == "done"
    names = [name for name, _ in inspect.getmembers(PublishConduit) if not name.startswith("_")]
    assert len(names) > 10
    arguments: dict[str, tuple[object, ...]] = {
        "group": ("a",),
        "units": ("a",),
        "set_scratchpad": (1,),
        "set_repository_scratchpad": (1,),
    }
    for name in names:
        with pytest.raises(PluginFault, match="`PublishConduit` after its call had returned"):
            getattr(kept["conduit"], name)(*arguments.get(name, ()))
    for name in ("changed_groups", "groups"):
        with pytest.raises(PluginFault, match="after its call"):
            next(kept[name])
    with pytest.raises(PluginFault, match="after its call"), kept["group"]:
        raise AssertionError("it was opened")


def test_a_group_is_closed_at_the_end_of_its_block(site: Hooked, behaviour: Behaviour) -> None:
    def late(conduit: PublishConduit) -> None:
        outputs: list[Output] = []
        for name in conduit.changed_groups():
            with conduit.group(name) as output:
                outputs.append(output)
        outputs[0].page("late/", b"", "text/plain")

    assert "`Output` after its call had returned" in refused(site, behaviour, late)


def test_it_knows_repository_configuration_and_working_directory(
    site: Hooked, behaviour: Behaviour
) -> None:
    seen: list[object] = []

    def look(conduit: PublishConduit) -> None:
        render(conduit)
        folder = conduit.repository.working_directory
        seen.extend(
            [
                conduit.repository.name,
                conduit.config.get("title"),
                conduit.options.title,
                folder.relative_to(site.home.root).as_posix(),
            ]
        )
        (folder / "state").write_text("kept", encoding="utf-8")

    behaviour.rendering = look
    site.applied(repository(), publication(more="title: Mine"))
    assert seen == ["team", "Mine", "Mine", "work/team/publisher-notes"]
    assert (site.home.root / "work/team/publisher-notes/state").read_text(
        encoding="utf-8"
    ) == "kept"


def test_notes_are_kept_with_a_publication_and_dropped_with_its_failure(
    site: Hooked, behaviour: Behaviour
) -> None:
    def counting(conduit: PublishConduit) -> None:
        render(conduit)
        conduit.set_scratchpad((conduit.get_scratchpad() or 0) + 1)
        conduit.set_repository_scratchpad(["shared", conduit.get_scratchpad()])

    def failing(conduit: PublishConduit) -> None:
        counting(conduit)
        raise ValueError("oops")

    assert published(site, behaviour, counting).result == "done"
    assert (site.note("publisher:notes"), site.note("repository")) == (1, ["shared", 1])
    assert refused(site, behaviour, failing, groups="a: [one]").startswith(
        " failed: ValueError: oops"
    )
    assert (site.note("publisher:notes"), site.note("repository")) == (1, ["shared", 1])
    assert published(site, behaviour, counting, groups="a: [one]").result == "done"
    assert (site.note("publisher:notes"), site.note("repository")) == (2, ["shared", 2])


def test_what_is_noted_while_a_publication_is_rendered_is_not_lost(
    site: Hooked, behaviour: Behaviour
) -> None:
    seen: list[int] = []

    def counting(conduit: PublishConduit) -> None:
        render(conduit)
        seen.append(conduit.get_repository_scratchpad() or 0)
        if len(seen) == 1:
            with site.home.database(read_only=False) as database:
                writer = database.writer()
                writer.set_scratchpads(
                    writer.actual_state().repositories["team"].id, {"repository": 10}
                )
        conduit.set_repository_scratchpad(seen[-1] + 1)

    assert published(site, behaviour, counting).result == "done"
    assert (site.note("repository"), seen) == (11, [0, 10])


def test_a_publisher_that_ends_the_process_does_not(site: Hooked, behaviour: Behaviour) -> None:
    def leave(conduit: PublishConduit) -> None:
        raise SystemExit(3)

    assert refused(site, behaviour, leave).startswith(" failed: SystemExit: 3")


def test_what_is_emitted_twice_in_a_group_is_named(site: Hooked, behaviour: Behaviour) -> None:
    said = refused(site, behaviour, emitting(("a", "x/"), ("a", "x/")))
    assert said.startswith("`x/` is emitted twice as `text/plain` for the group `a`")


def test_what_two_groups_emit_is_named_with_both(site: Hooked, behaviour: Behaviour) -> None:
    said = refused(site, behaviour, emitting(("a", "x/"), ("b", "x/")))
    assert said.startswith(
        "`x/` is emitted twice as `text/plain`: by the group `a` and by the group `b`"
    )
    said = refused(site, behaviour, emitting(("b", "x/"), whole=("x/",)))
    assert said.startswith(
        "`x/` is emitted twice as `text/plain`: by the group `b` and outside of any group"
    )


def test_what_a_group_emits_that_an_unchanged_one_holds_is_named_with_both(
    site: Hooked, behaviour: Behaviour
) -> None:
    assert published(site, behaviour, emitting(("a", "x/"), ("b", "y/"))).result == "done"
    said = refused(
        site, behaviour, emitting(("a", "x/"), ("b", "x/")), groups="a: [one], b: [two, three]"
    )
    assert said.startswith(
        "`x/` is emitted twice as `text/plain`: by the group `a` and by the group `b`"
    )


def test_what_was_written_long_before_is_named_with_both(
    site: Hooked, behaviour: Behaviour
) -> None:
    many = [("a", f"{number}/") for number in range(1_100)]  # more than what waits in memory
    said = refused(site, behaviour, emitting(*many, ("b", "17/")))
    assert said.startswith(
        "`17/` is emitted twice as `text/plain`: by the group `a` and by the group `b`"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            (b"a/", b"", "text/plain"),
            "a path for the group `a` is of the type `bytes`, not a string",
        ),
        (("../a", b"", "text/plain"), "the unsafe path '../a' for the group `a`"),
        (("/a", b"", "text/plain"), "the unsafe path '/a' for the group `a`"),
        (("/", b"", "text/plain"), "the unsafe path '/' for the group `a`"),
        (
            ("a/", "text", "text/plain"),
            "`a/` for the group `a`: the body is of the type `str`, not bytes",
        ),
        (("a/", b"", "text"), "`a/` for the group `a`: 'text' is not a media type"),
        (
            ("a/", b"", "text/plain\r\nX-Evil: 1"),
            "`a/` for the group `a`: 'text/plain\\r\\nX-Evil: 1' is not a media type",
        ),
        (("a/", b"", None), "`a/` for the group `a`: None is not a media type"),
    ],
)
def test_nonsense_pages_are_refused(
    site: Hooked, behaviour: Behaviour, arguments: tuple[Any, ...], said: str
) -> None:
    def rendering(conduit: PublishConduit) -> None:
        with conduit.group("a") as output:
            output.page(*arguments)

    assert refused(site, behaviour, rendering).startswith(said)


@pytest.mark.parametrize("artifact", ["0" * 64, None, StoredArtifact("x", "0" * 64, 1), ["x"]])
def test_links_to_what_is_no_artifact_are_refused(
    site: Hooked, behaviour: Behaviour, artifact: Any
) -> None:
    def rendering(conduit: PublishConduit) -> None:
        with conduit.group("a") as output:
            output.file("a.txt", artifact)

    assert refused(site, behaviour, rendering).startswith("`a.txt` for the group `a` links to ")


def test_a_group_that_differs_must_be_opened(site: Hooked, behaviour: Behaviour) -> None:
    assert published(site, behaviour, render).result == "done"

    def forgetting(conduit: PublishConduit) -> None:
        with conduit.whole_repository():
            pass

    said = refused(site, behaviour, forgetting, groups="a: [one]")
    assert said.startswith("the group `b` differs and was not opened: its old files would stay")
    assert published(site, behaviour, render, groups="a: [one]").result == "done"
    assert sorted(site.served()) == ["a/", "index/"]


def test_a_group_whose_rendering_failed_is_no_group_that_stays(
    site: Hooked, behaviour: Behaviour
) -> None:
    assert published(site, behaviour, render).result == "done"

    def swallowing(conduit: PublishConduit) -> None:
        for name in conduit.changed_groups():
            try:
                with conduit.group(name):
                    raise ValueError("oops")
            except ValueError:
                pass

    said = refused(site, behaviour, swallowing, groups="a: [one, three], b: [two]")
    assert said.startswith("the group `a` was opened and not finished: its old files would stay")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a", "the group `a` is opened twice: its first files would be lost"),
        (None, "what belongs to no group is opened twice: its first files would be lost"),
        ("zebra", "the group `zebra` is opened, and version 1 holds no such group"),
        ("", "the group `` is opened, and version 1 holds no such group"),
    ],
)
def test_groups_are_opened_once_and_only_those_there_are(
    site: Hooked, behaviour: Behaviour, name: str | None, said: str
) -> None:
    def rendering(conduit: PublishConduit) -> None:
        render(conduit)
        with conduit.whole_repository() if name is None else conduit.group(name):
            pass

    assert refused(site, behaviour, rendering).startswith(said)


def test_a_group_that_does_not_differ_may_be_rendered_again(
    site: Hooked, behaviour: Behaviour
) -> None:
    def everything(conduit: PublishConduit) -> None:
        for name in {*conduit.changed_groups(), *conduit.groups()}:
            with conduit.group(name) as output:
                output.page(f"{name}/", str(len(conduit.units(name))).encode(), "text/plain")

    assert published(site, behaviour, everything).result == "done"
    assert (
        published(site, behaviour, everything, groups="a: [one], b: [two, three]").result == "done"
    )
    assert site.served() == {"a/": ("text/plain", 1), "b/": ("text/plain", 1)}


def test_what_belongs_to_no_group_is_what_a_rendering_anew_would_show(
    site: Hooked, behaviour: Behaviour
) -> None:
    def list_while_large(conduit: PublishConduit) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name):
                pass
        if len(list(conduit.groups())) > 1:
            with conduit.whole_repository() as output:
                output.page("index/", b"many", "text/plain")

    assert published(site, behaviour, list_while_large).result == "done"
    assert list(site.served()) == ["index/"]
    assert published(site, behaviour, list_while_large, groups="a: [one]").result == "done"
    assert site.served() == {}
