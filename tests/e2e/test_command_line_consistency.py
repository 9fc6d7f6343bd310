"""The command line is one: names, help, output and completion are the same for every command."""

from __future__ import annotations

import asyncio
import json
import re
from itertools import count
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from reconciler import cli
from reconciler.cli import completion, output
from reconciler.cli.main import VERBS, run, tree
from reconciler.cli.names import take_ref, take_repository
from reconciler.cli.output import Layout
from reconciler.database import Lease
from reconciler.engine import parse_kind
from reconciler.engine.engine import utc_now
from reconciler.engine.run import lease
from reconciler.engine.run.lease import LeasePatience, leased
from reconciler.errors import LeaseHeld, UsageFault
from reconciler.model import Kind
from tests.support.mirror import Done, Mirror, call, resource

TEAM = "repository/team"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    folder = tmp_path_factory.mktemp("site")
    (folder / "files").mkdir()
    (folder / "files" / "one.txt").write_text("1")
    mirror = Mirror(
        folder,
        resource("Remote", "up", f"type: file\nurl: {folder}/files/"),
        resource("Repository", "team", "type: file\nsources:\n- remote: {name: up}\n- upload: {}"),
        resource("Publication", "team", "repository: team\npath: team"),
    )
    mirror.applied()
    return mirror


def ask(site: Mirror, *words: str) -> Done:
    return call([*words, "--home", str(site.home.root)])


@pytest.mark.parametrize("verb", [verb.NAME for verb in VERBS])
def test_help_names_no_python_type(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Kind: what the language calls a thing, shown to people who do not write it."""
    assert run([verb, "-h"]) == 0
    text = capsys.readouterr().out
    assert not re.search(r"<(?:str|int|float|bool|path|Path|list)|list\[|\bPath\b", text), text
    assert "-h, --help" in text


@pytest.mark.parametrize("name", ["team", TEAM, "repository team", "repositories team"])
@pytest.mark.parametrize(
    ("verb", "more"), [("history", []), ("diff", ["0", "1"]), ("explain", ["one.txt"])]
)
def test_a_repository_is_named_in_any_way(
    site: Mirror, verb: str, more: list[str], name: str
) -> None:
    done = ask(site, verb, *name.split(), *more)
    assert done.code == 0, done.err
    assert done.out == ask(site, verb, TEAM, *more).out


@pytest.mark.parametrize("verb", ["get", "describe", "verify"])
def test_a_resource_is_named_with_its_kind_in_either_way(site: Mirror, verb: str) -> None:
    assert ask(site, verb, "publication", "team").code == 0
    assert ask(site, verb, "publication/team").code == 0


def test_files_and_keys_follow_a_name_in_any_way(site: Mirror, tmp_path: Path) -> None:
    for number, name in enumerate((["team"], ["repository", "team"], [TEAM])):
        file = tmp_path / f"mine-{number}.txt"
        file.write_text(str(number))
        done = ask(site, "upload", *name, str(file), "-o", "json")
        assert done.code == 0, done.err
        assert done.document[0]["file"] == file.name
        key = f"uploads/{file.name}" if "uploads/" in done.out else file.name
        assert ask(site, "remove", *name, key).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["publication/team"], "is a publication"),
        (["team", "more"], "one too many"),
        (["nonsense/team"], "no kind"),
    ],
)
def test_another_name_says_what_is_wrong(site: Mirror, words: list[str], said: str) -> None:
    done = ask(site, "history", *words)
    assert (done.code, said in done.err) == (1, True)


def test_a_repository_may_be_called_like_a_kind() -> None:
    assert take_ref(["repository"], kind=Kind.REPOSITORY)[0].name == "repository"
    assert take_ref(["remote", "0", "1"], kind=Kind.REPOSITORY, more=2)[0].name == "remote"
    with pytest.raises(UsageFault, match="missing"):
        take_ref(["team"], kind=Kind.REPOSITORY, more=1)


def test_a_missing_word_is_answered_with_how_the_command_is_written() -> None:
    with pytest.raises(UsageFault) as refused:
        take_repository(["team", "1"], more=2, usage="diff NAME A B")
    assert refused.value.hint == "`reconciler diff NAME A B`"


COMMANDS = [
    ["get", "repository"],
    ["describe", TEAM],
    ["history", "team"],
    ["diff", "team", "0", "1"],
    ["explain", "team", "one.txt"],
    ["verify"],
    ["fetch", "team"],
    ["gc", "--dry-run"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_every_command_has_one_output_flag(site: Mirror, words: list[str]) -> None:
    document = json.loads(ask(site, *words, "-o", "json").out)
    assert yaml.safe_load(ask(site, *words, "--format", "yaml").out) == document
    table = ask(site, *words).out
    assert ask(site, *words, "--output", "text").out == table, "its earlier name"
    markdown = ask(site, *words, "-o", "markdown").out
    assert markdown.startswith(("| ", "```diff\n"))
    assert ask(site, *words, "-o", "github").code == 0
    wrong = ask(site, *words, "-o", "xml")
    assert (wrong.code, "`markdown`" in wrong.err) == (1, True)


@pytest.mark.parametrize("verb", ["validate", "plan", "apply"])
def test_commands_about_manifests_have_it_too(site: Mirror, verb: str) -> None:
    def said(layout: str) -> str:
        words = site.words(verb, "-o", layout)
        home = ["--home", str(site.home.root)]
        done = call([word for word in words if verb != "validate" or word not in home])
        assert done.code == 0, done.err
        return done.out

    assert yaml.safe_load(said("yaml")) == yaml.safe_load(said("json"))
    assert "```diff" in said("markdown")
    assert "{" not in said("github")


def test_versions_of_an_apply_say_by_whom(
    site: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: a record of what happened that does not say who did it."""
    monkeypatch.setenv("GITHUB_ACTOR", "ada")
    (site.folder / "files" / f"{tmp_path.name}.txt").write_text("more")
    site.applied()
    newest = json.loads(ask(site, "history", "team", "-o", "json").out)[0]
    assert newest["provenance"]["principal"] == "ada"
    monkeypatch.delenv("GITHUB_ACTOR")
    (site.folder / "files" / f"{tmp_path.name}-2.txt").write_text("more")
    site.applied()
    newest = json.loads(ask(site, "history", "team", "-o", "json").out)[0]
    assert "@" in newest["provenance"]["principal"]


def test_a_lease_of_another_run_is_waited_for(site: Mirror) -> None:
    reports: list[str] = []
    tries: list[int] = []

    class Busy:
        def acquire(self, name: str, **more: object) -> Lease:
            tries.append(1)
            if len(tries) < 3:
                raise LeaseHeld(f"the lease `{name}` is held by process 7")
            raise KeyError("got it")

    async def hold(seconds: float) -> None:
        patience = LeasePatience(seconds, reports.append)
        async with leased(Busy(), TEAM, lambda: None, patience=patience):  # type: ignore[arg-type, return-value]
            pass

    with pytest.raises(LeaseHeld):
        asyncio.run(hold(0))
    assert reports == []
    with pytest.raises(KeyError):
        asyncio.run(hold(30))
    assert len(reports) == 1
    assert "held by process 7" in reports[0]


def test_content_is_counted_in_the_words_of_people(site: Mirror) -> None:
    """Kind: the ID of a type where people say what it is."""
    assert re.search(r"  \d+ files?  ", ask(site, "get", "repository").out)


@pytest.mark.parametrize(
    ("text", "close"), [("repo", "repository"), ("pubication", "publication"), ("F", "filter")]
)
def test_a_kind_that_is_nearly_one_is_suggested(text: str, close: str) -> None:
    with pytest.raises(UsageFault) as refused:
        parse_kind(text)
    assert (refused.value.hint or "").startswith(f"did you mean `{close}`? kinds: ")
    with pytest.raises(UsageFault) as refused:
        parse_kind("zebra")
    assert refused.value.hint == "kinds: remote, filter, repository, publication"


def test_signs_stand_first_in_a_block_of_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    """Kind: a block of a diff that no viewer colours."""
    texts = ["+ Repository a", "    - idna 3", "    guard: no", "  ~ x: 1 -> 2"]
    output.text(Layout.MARKDOWN, texts)
    assert capsys.readouterr().out.splitlines()[1:-1] == [
        "+ Repository a",
        "-     idna 3",
        "    guard: no",
        "~   x: 1 -> 2",
    ]


MARKING = {"yank", "unyank", "mark", "unmark"}
WRITING = {"apply", "upload", "remove", "restore", "repair", "gc", "serve"} | MARKING
WITHOUT_RESULT = {"serve"}  # it prints no result that could have another form


def options() -> dict[str, set[str]]:
    """Return the options of every command and subcommand."""
    commands: dict[str, set[str]] = {}
    root = typer.main.get_command(tree())
    assert isinstance(root, TyperGroup)
    for name, command in root.commands.items():
        inner = command.commands.items() if isinstance(command, TyperGroup) else []
        for words, each in [(name, command), *((f"{name} {sub}", each) for sub, each in inner)]:
            commands[words] = {flag for parameter in each.params for flag in parameter.opts}
    return commands


def test_every_command_that_has_a_result_says_how_it_prints_it() -> None:
    """Kind: an option of every command that one command lacks."""
    commands = options()
    assert {name for name, flags in commands.items() if "-o" not in flags} == WITHOUT_RESULT
    assert {name for name, flags in commands.items() if "--lock-timeout" in flags} == WRITING


def test_no_command_writes_without_a_word_on_how_long_it_waits() -> None:
    """Only `settings` opens what writes, and both ways take `--lock-timeout`."""
    folder = Path(cli.__file__).parent
    openers = {
        file.stem
        for file in folder.glob("*.py")
        if re.search(r"\b(Engine|Service)\(", file.read_text(encoding="utf-8"))
    }
    assert openers == {"settings"}


@pytest.mark.parametrize("verb", ["gc", "upload"])
def test_a_command_waits_for_what_another_run_holds(
    verb: str, site: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count(0, 40)
    monkeypatch.setattr(lease, "PATIENCE", 0.0)
    monkeypatch.setattr(lease, "monotonic", lambda: next(seconds))
    file = tmp_path / "waits.txt"
    file.write_text("waits")
    words = {"gc": ["gc"], "upload": ["upload", "team", str(file)]}[verb]
    name = {"gc": "collection", "upload": "publication/team"}[verb]
    with site.home.database(read_only=False) as opened:
        held = opened.writer().acquire(name, ttl_seconds=600, now=utc_now())
        done = ask(site, *words, "--lock-timeout", "1m")
        opened.writer().release(held)
    assert done.code == 1
    assert f"waiting for up to 60 s: the lease `{name}` is held by process" in done.err
    assert done.err.count("waiting") == 1


def test_a_duration_that_is_none_is_refused(site: Mirror) -> None:
    done = site.apply("--lock-timeout", "soon")
    assert (done.code, "--lock-timeout soon" in done.err) == (1, True)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion_is_shown_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--show-completion", shell]) == 0
    assert completion.VARIABLE in capsys.readouterr().out
    assert run(["--show-completion=tcsh"]) == 1


def test_completion_without_a_shell_is_that_of_bash(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "found_shell", lambda: "bash")
    assert run(["--show-completion"]) == 0
    assert "COMPREPLY" in capsys.readouterr().out


def test_names_are_completed_from_the_state(
    site: Mirror, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECONCILER_HOME", str(site.home.root))
    monkeypatch.setenv(completion.VARIABLE, "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "reconciler history t")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert completion.prepare()
    with pytest.raises(SystemExit):
        tree()([], standalone_mode=False, prog_name="reconciler")
    assert capsys.readouterr().out.split() == ["team"]
