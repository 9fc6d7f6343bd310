"""Any change of any key, applied to an unchanged upstream, gives what a fresh home gives.

The kind: keys that answers were not committed under. The first tests go through every key of the
composed JSON Schema, so that none can be forgotten; the others compare whole runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler import manifest
from reconciler.engine import Engine, Home
from reconciler.engine.run.progress import SilentProgress
from reconciler.engine.sources.repository_resolution import OtherRepositories, RepositoryResolution
from reconciler.engine.sources.resolution import make_resolver
from reconciler.manifest.kinds import API
from reconciler.model import ActualState, Digest, SourceKind
from reconciler.plugin.config import PluginSettings
from reconciler.plugin.registry import Registry
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository, rules

TYPES = ("file", "python")
Value = Any
Place = tuple[str, str]
"""A place with keys (`Remote`, `sync`, `remote:` ...), and one of its keys."""

# Keys under which an answer stands as well as before, with the reason.
SAME_OUTCOME = {
    ("Remote", "timeouts"): "an answer in time is the same, a late one is a failure",
    ("Remote", "retries"): "the same",
    ("Remote", "concurrency"): "the same",
    ("Remote", "rateLimit"): "the same",
    ("Remote", "mirrors"): "a file has the digest that is declared, wherever it comes from",
    ("guard", "maxRemovals"): "it stops a plan as a whole",
    ("guard", "preventDestroy"): "the same",
    ("guard", "namedProjects"): "what it keeps is a failure, under which nothing stands",
    ("Filter", "global"): "the filter here is named by the repositories",
    ("repository:", "version"): "the digest of the version that is meant is the validator",
}
NAMES = {"type", "name", "index", "sources", "filters", "sync", "guard"}  # not values
NAMES.add("quota")  # it stops an upload alone, and only repositories that take some have one

# One value for each key that is another than the base's.
VALUES: dict[str, Value] = {
    "url": "https://mirror.example.org/simple/",
    "policy": "on-demand",
    "auth": {"username": "ada", "password": {"env": "X"}},
    "tls": {"verify": False},
    "proxy": "https://proxy.example.org",
    "headers": {"X-Team": "a"},
    "timeouts": {"read": "5s"},
    "retries": 1,
    "yank": [{"what": "attrs==1.0"}],
    "concurrency": 2,
    "rateLimit": "5/s",
    "redirects": "any",
    "egress": {"allow": ["10.0.0.0/8"]},
    "maxSize": "5MiB",
    "mirrors": ["https://mirror.example.org/"],
    "mode": "additive",
    "maxRemovals": 3,
    "preventDestroy": True,
    "namedProjects": "allow",
    "everything": True,
    "version": "sha256:" + "0" * 64,
    "format": "urls",
    "include": ["six"],
    "exclude": ["six"],
    "files": ["six-1.0.tar.gz"],
    "requirements": ["requirements.txt"],
    "dependencies": True,
    "environments": {"it": {"python_version": "3.12", "sys_platform": "linux"}},
    "targets": [{"python": "3.12", "platform": "linux_x86_64"}],
    "filter": {"yanked": "drop"},
    "substitution": "allow",
    "legacy": "allow",
    "hashes": "optional",
    "sharedProjects": ["six"],
    "global": True,
    "allow": ["six"],
    "deny": ["six"],
    "minAge": "7d",
    "minAgeExempt": ["six"],
    "uploadedBefore": "2026-07-01T00:00:00Z",
    "packageTypes": ["wheel"],
    "platforms": ["any"],
    "pythons": ["py3"],
    "abis": ["none"],
    "requiresPython": "3.11",
    "prereleases": "deny",
    "devReleases": "deny",
    "yanked": "drop",
    "latest": 1,
    "licenses": {"allow": ["MIT"]},
    "attestations": {"required": True},
    "osv": {"path": "osv"},
}


@dataclass
class Manifests:
    """A remote, a filter, a base and a copy of one type, as data that a test changes."""

    type: str

    def __post_init__(self) -> None:
        selection = {"include": ["attrs"]}
        self.remote: Value = {"type": self.type, "url": "https://index.example.org/simple/"}
        self.filter: Value = {"type": self.type}
        self.source: Value = {"name": "up", **selection}
        self.copied: Value = {"name": "base"}
        self.base: Value = {"type": self.type, "filters": [], "sources": [{"remote": self.source}]}
        self.team: Value = {
            "type": self.type,
            "filters": ["rules"],
            "sources": [{"repository": self.copied}],
        }

    def part(self, place: str) -> Value:
        parts: dict[str, Value] = {
            "Remote": self.remote,
            "Repository": self.base,
            "Filter": self.filter,
            "remote:": self.source,
            "repository:": self.copied,
        }
        return parts.get(place) if place in parts else self.base.setdefault(place, {})

    def text(self) -> str:
        documents = [
            ("Remote", "up", self.remote),
            ("Filter", "rules", self.filter),
            ("Repository", "base", {**self.base, "filters": ["rules"]}),
            ("Repository", "team", self.team),
        ]
        return yaml.safe_dump_all(
            {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
            for kind, name, spec in documents
        )


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def keys(registry: Registry, type: str) -> Iterator[Place]:
    """Yield every key that the schema has for a type."""
    definitions = manifest.schema(registry)["$defs"]
    for kind in ("Remote", "Filter", "Repository"):
        properties = definitions[f"{kind}.{type}"]["properties"]
        yield from ((kind, key) for key in properties if key not in NAMES)
    sources = definitions[f"Repository.{type}"]["properties"]["sources"]["items"]["properties"]
    assert sources.keys() == {kind.value for kind in SourceKind}
    for kind in ("remote", "repository"):  # what is uploaded is decided when it comes
        yield from ((f"{kind}:", key) for key in sources[kind]["properties"] if key not in NAMES)
    for part in ("sync", "guard"):
        yield from ((part, key) for key in definitions[f"core.{part.title()}Spec"]["properties"])


def committed_under(registry: Registry, manifests: Manifests, folder: Path) -> list[Digest]:
    """Return the digests of what the answers of both sources are committed under."""
    folder.mkdir(exist_ok=True)
    (folder / "osv").mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text("attrs==1.0\n", encoding="utf-8")
    (folder / "site.yaml").write_text(manifests.text(), encoding="utf-8")
    desired = manifest.read([folder / "site.yaml"], registry)

    async def run() -> list[Digest]:
        home = Home(folder / "home")
        async with Engine(home, registry, manifest.read_recorded, writes=True) as engine:
            session = engine._session()
            assert isinstance(session.progress, SilentProgress)
            digests = []
            for repository in desired.repositories.values():
                start = partial(RepositoryResolution.start, session, repository, ActualState())
                others = OtherRepositories(ActualState(), {})
                resolvers = [
                    make_resolver(start(), source, desired, others=others)
                    for source in repository.sources
                ]
                digests += [resolver._rules_digest for resolver in resolvers]
            return digests

    return asyncio.run(run())


@pytest.mark.parametrize("type", TYPES)
def test_every_key_is_part_of_what_answers_are_committed_under(
    registry: Registry, tmp_path: Path, type: str
) -> None:
    before = committed_under(registry, Manifests(type), tmp_path)
    forgotten = []
    for place, key in keys(registry, type):
        assert key in VALUES, f"a key that is new: give `{key}` a value here"
        changed = Manifests(type)
        changed.part(place)[key] = VALUES[key]
        if key == "everything":
            del changed.source["include"]
        same = committed_under(registry, changed, tmp_path) == before
        if same != ((place, key) in SAME_OUTCOME):
            forgotten.append((place, key))
    assert forgotten == []


def test_a_setting_that_no_option_model_knows_is_part_of_it(
    registry: Registry, tmp_path: Path
) -> None:
    """Plugins read it by `config.get`; what they declare, copy and render rests on it."""
    plain = committed_under(registry, Manifests("file"), tmp_path)
    for depth in (1, 2):
        configured = Registry(settings=PluginSettings({"file": {"depth": depth}}))
        digests = committed_under(configured, Manifests("file"), tmp_path)
        assert set(digests).isdisjoint(plain)
        plain += digests


def test_pages_are_made_anew_when_a_setting_of_their_publisher_changes(
    site: Rehearsal,
) -> None:
    site.declare(site.remote(), repository(), publication())
    site.applied()
    assert site.settled()
    publisher = site.registry.publisher("lines")
    object.__setattr__(publisher, "config", {"title": "Ours"})
    assert "it is rendered differently now" in site.text()
    site.applied()
    assert site.settled()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.validator("v1")
        site.says("a", site.file("one"), site.file("two"), validator="1")
        site.says("b", site.file("three"), validator="1")
        yield site


def fresh(site: Rehearsal) -> str:
    """The digest of what a fresh home makes of the manifests."""
    home, site.home = site.home, Home(site.folder / "fresh")
    site.applied()
    digest = site.digest()
    site.home = home
    return digest


@pytest.mark.parametrize("type", ["lines", "records"])
def test_additive_becomes_mirror(site: Rehearsal, type: str) -> None:
    remote = site.remote(type=type)
    additive = repository(type=type, more="sync: {mode: additive}")
    site.declare(remote, additive)
    site.applied()
    site.says("a", site.file("one"), validator="2")
    site.drops("b")
    site.validator("v2")
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three"]
    site.declare(remote, repository(type=type))
    assert not site.plan().empty
    site.applied()
    assert site.held() == ["a/one"]
    assert site.digest() == fresh(site)


def test_an_additive_copy_becomes_a_mirror(site: Rehearsal) -> None:
    base = (site.remote(), repository("base"))
    site.declare(*base, repository("team", copy("base"), more="sync: {mode: additive}"))
    site.applied()
    site.says("a", site.file("one"), validator="2")
    site.validator("v2")
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three"]
    site.declare(*base, repository("team", copy("base")))
    site.applied()
    assert site.held() == ["a/one", "b/three"]
    assert site.digest() == fresh(site)


def test_what_a_rule_keeps_out_whole_leaves_when_additive_becomes_mirror(site: Rehearsal) -> None:
    """Also where another source follows, so that the refusal itself is recorded."""
    sources = ("remote: {name: up}", "remote: {name: other, upstream: other}")
    remotes = (site.remote(), site.remote("other"))
    site.declare(*remotes, repository("team", *sources, more="sync: {mode: additive}"))
    site.applied()
    deny = rules("deny: [one, two]")
    site.declare(*remotes, deny, repository("team", *sources, more="sync: {mode: additive}"))
    site.applied()
    assert "a/one" in site.held()
    site.declare(*remotes, deny, repository("team", *sources))
    site.applied()
    assert site.held() == ["b/three"]
    assert site.digest() == fresh(site)


def test_another_user_of_a_remote_may_see_other_things(site: Rehearsal, tmp_path: Path) -> None:
    site.declare(site.remote(), repository(), publication())
    site.applied()
    site.says("c", site.file("private"), validator="1")  # under the same validator of the whole
    site.applied()
    assert "c/private" not in site.held()
    site.declare(site.remote(more="headers: {X-Team: a}"), repository(), publication())
    site.applied()
    assert "c/private" in site.held()
    assert site.digest() == fresh(site)
