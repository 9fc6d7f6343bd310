"""`explain` and `plan` agree: which units come in, which do not and why, and who owns a name.

Random histories of a repository with several sources and uploads: sources list, refuse, withdraw,
lose and fail groups, cannot be asked, or not completely; filters change. Before each apply every
name is explained, and compared with what the plan decides and the apply leaves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from reconciler.engine.sources.ownership import NameOwnership
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.errors import Conflict, Gone, Unreachable
from reconciler.model import UPLOAD, Digest
from reconciler.plan import ADD, CHANGE, REFUSE, ContentChanges
from reconciler.plugin import UNCHANGED, Group, ReadConduit, Unchanged, Unit, Withdrawn
from tests.support.rehearsal import Rehearsal, copy, rehearsal, repository, rules, source
from tests.support.scripted_plugins import LINE

NAMES = ("app", "lib", "web")
KEYS = ("one", "two", "three")
REMOTES = ("up", "down")
FAILURES: Mapping[str, Exception] = {
    "gone": Gone("404"),
    "withdrawn": Withdrawn("quarantined"),
    "failing": Unreachable("no answer"),
}


@dataclass(frozen=True)
class Upstream:
    """What one upstream says: by group how it answers and with which keys."""

    groups: Mapping[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    how: str = ""  # "", `incomplete` or `unavailable`


@dataclass(frozen=True)
class Step:
    """One state of the world."""

    upstreams: Mapping[str, Upstream]
    order: Sequence[str]
    deny: frozenset[str]
    skip: frozenset[str]
    upload: str | None  # a file to this group, before the apply


modes = st.sampled_from(["listed", "listed", "listed", "refused", *FAILURES])
upstreams = st.builds(
    Upstream,
    st.dictionaries(st.sampled_from(NAMES), st.tuples(modes, st.frozensets(st.sampled_from(KEYS)))),
    st.sampled_from(["", "", "", "incomplete", "unavailable"]),
)
steps = st.builds(
    Step,
    st.fixed_dictionaries(dict.fromkeys(REMOTES, upstreams)),
    st.permutations((*REMOTES, "base", UPLOAD)),
    st.frozensets(st.sampled_from(KEYS), max_size=1),
    st.frozensets(st.sampled_from(KEYS), max_size=1),
    st.sampled_from([None, None, *NAMES]),
)


class World:
    """A site whose importers say what the current step says."""

    def __init__(self, stage: Rehearsal) -> None:
        self.stage = stage
        self.step = Step(dict.fromkeys(REMOTES, Upstream()), (), frozenset(), frozenset(), None)
        stage.script.on_declare = self._declare
        stage.script.on_read = self._read
        self._base = [stage.remote("base"), repository("base", source("base"))]
        stage.declare(*self._base)
        stage.applied()

    def declare(self, step: Step) -> None:
        self.step = step
        skip = f"skip: [{', '.join(sorted(step.skip))}]"
        entries = {
            **{name: source(name, skip) for name in REMOTES},
            "base": copy("base", version="1"),
            UPLOAD: "upload: {}",
        }
        deny = ", ".join(sorted(step.deny))
        self.stage.declare(
            *self._base,
            *map(self.stage.remote, REMOTES),
            rules(f"deny: [{deny}]"),
            repository("team", *(entries[name] for name in step.order)),
        )

    def groups(self, name: str) -> Mapping[str, tuple[str, frozenset[str]]]:
        if name == "base":
            return {"lib": ("listed", frozenset(KEYS)), "base": ("listed", frozenset({"one"}))}
        return self.step.upstreams[name].groups

    async def _declare(self, conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        name = conduit.options.upstream
        how = "" if name == "base" else self.step.upstreams[name].how
        if how == "unavailable":
            raise OSError("no route")
        if how == "incomplete":
            conduit.incomplete("one server is down")
        for group, (mode, keys) in self.groups(name).items():
            validator = str(Digest.of_value([mode, sorted(keys)]))
            refused = "not here" if mode == "refused" else ""
            yield Group(group, validator, listed=True, refused=refused)

    async def _read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit] | Unchanged:
        mode, keys = self.groups(conduit.options.upstream)[group.name]
        if mode in FAILURES:
            raise FAILURES[mode]
        assert group.validator is not None
        if conduit.unchanged(group.validator):
            return UNCHANGED
        return [Unit(LINE, key, {"by": conduit.options.upstream}) for key in sorted(keys)]


@contextmanager
def world() -> Iterator[World]:
    with TemporaryDirectory() as folder, rehearsal(Path(folder)) as stage:
        yield World(stage)


class Ownerships:
    """The ownership of the repository `team` in each resolution that was started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.last = NameOwnership(())
        start = RepositoryResolution.start

        def noting(*arguments: Any, **named: Any) -> RepositoryResolution:
            resolution = start(*arguments, **named)
            if resolution.repository.meta.name == "team":
                self.last = resolution.ownership
            return resolution

        monkeypatch.setattr(RepositoryResolution, "start", noting)


@settings(max_examples=12, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
@given(st.lists(steps, min_size=2, max_size=3))
def test_explain_and_plan_agree(history: list[Step]) -> None:
    with world() as site, pytest.MonkeyPatch.context() as monkeypatch:
        ownerships = Ownerships(monkeypatch)
        for number, step in enumerate(history):
            site.declare(step)
            if number and step.upload is not None:
                upload(site.stage, step.upload)
            explained = {name: site.stage.explain(name, declared=True) for name in NAMES}
            content = site.stage.content()
            owners = dict(ownerships.last.owners)
            site.stage.apply(destroy=True)
            held = site.stage.sources()
            for name, document in explained.items():
                assert document["groups"] == [{"name": name, "owner": owners.get(name)}]
                for answer in document["sources"]:
                    check(name, answer, content, held)


def upload(stage: Rehearsal, group: str) -> None:
    """A name that an earlier source owns is not taken; which one that is, is tested elsewhere."""
    with suppress(Conflict):
        stage.upload("file", b"data", fields={"group": group})


def check(
    name: str,
    answer: Mapping[str, Any],
    content: ContentChanges,
    held: Mapping[str, set[str]],
) -> None:
    """Compare what one source is explained to say with the plan's lines and what is held then."""
    source_id = answer["source"]
    lines = {
        line.key: line
        for change in content.spool
        if (change.head.name, change.head.source) == (name, source_id)
        for line in change.lines
    }
    keys = {
        place.partition("/")[2]
        for place, sources in held.items()
        if place.partition("/")[0] == name and source_id in sources
    }
    arriving = {key for key, line in lines.items() if line.op in (ADD, CHANGE)}
    group = next((group for group in answer["groups"] if group["name"] == name), None)
    failures = {(failure.source, failure.group) for failure in content.failures}
    if answer["result"] == "failed":
        assert (source_id, None) in failures
        assert not lines
    elif group is None:
        assert not arriving
    elif group["result"] in ("owned", "unknown", "gone", "refused"):
        assert not arriving
        if group["result"] in ("gone", "refused") and answer["result"] == "answered":
            assert not keys
    elif group["result"] == "failed":
        assert (source_id, name) in failures
        assert not lines
    else:
        check_units(group["units"], lines, keys, whole=answer["result"] == "answered")


def check_units(
    units: Sequence[Mapping[str, Any]], lines: Mapping[str, Any], keys: set[str], *, whole: bool
) -> None:
    """Compare the verdicts; where the source is not `whole`, more may be held than it lists."""
    accepted = {unit["key"] for unit in units if unit["accepted"]}
    assert accepted <= keys
    if whole:
        assert accepted == keys
    reasons = {unit["key"]: unit["reason"] for unit in units if not unit["accepted"]}
    refused = {key: line.reason for key, line in lines.items() if line.op == REFUSE}
    assert refused.items() <= reasons.items()
