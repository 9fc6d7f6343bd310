"""Valid manifests become typed resources with canonical specifications."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.errors import Origin
from reconciler.manifest import read
from reconciler.manifest.validation import NOTHING_BEHIND
from reconciler.model import (
    Auth,
    DesiredState,
    Guard,
    Kind,
    Ref,
    Secret,
    SourceKind,
    Tls,
    Uploader,
    canonical,
)
from tests.manifest.conftest import ANYWHERE, Reading, Refusal
from tests.support.manifests import generate
from tests.support.quotes import QuotePages, QuoteRules, QuoteSource, registry

GOLDEN = Path(__file__).parent.parent / "golden" / "manifest"
HEAD = "apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def manifest(kind: str, spec: str, name: str = "it") -> str:
    return HEAD.format(kind=kind, name=name, spec=spec)


@pytest.fixture
def sound() -> DesiredState:
    return read([GOLDEN / "sound.yaml"], registry(), limits=ANYWHERE)


def test_a_remote_has_every_setting(sound: DesiredState) -> None:
    remote = sound.remotes["famous"]
    assert (remote.type, remote.index, remote.url, remote.policy) == (
        "quotes",
        None,
        "https://quotes.example.org/simple/",
        "immediate",
    )
    assert remote.auth == Auth(Secret(env="INDEX_USER"), Secret(file=str(GOLDEN / "secrets/index")))
    assert remote.tls == Tls(
        False,
        str(GOLDEN / "certs/ca.pem"),
        str(GOLDEN / "certs/me.pem"),
        Secret(file=str(GOLDEN / "certs/me.key")),
    )
    assert remote.headers == {"X-Team": "data", "Authorization": Secret(env="INDEX_TOKEN")}
    assert (remote.connect_timeout, remote.read_timeout, remote.total_timeout) == (
        10.0,
        60.0,
        600.0,
    )
    assert (remote.retries, remote.concurrency, remote.rate_limit, remote.proxy) == (
        4,
        32,
        10.0,
        "http://proxy.example.org:3128",
    )
    assert (remote.meta.labels, remote.meta.annotations) == (
        {"team": "data"},
        {"example.org/note": "hello"},
    )
    assert remote.meta.origin == Origin(str(GOLDEN / "sound.yaml"), 2, 1)


def test_a_remote_without_settings_has_the_defaults_of_the_model(reading: Reading) -> None:
    remote = reading(manifest("Remote", "{type: quotes, index: famous}")).remotes["it"]
    assert (remote.index, remote.url, remote.auth, remote.tls, remote.proxy) == (
        "famous",
        None,
        None,
        Tls(),
        None,
    )
    assert (remote.connect_timeout, remote.read_timeout, remote.total_timeout) == (
        10.0,
        60.0,
        1800.0,
    )
    assert (remote.retries, remote.concurrency, remote.rate_limit, dict(remote.headers)) == (
        4,
        32,
        None,
        {},
    )
    assert remote.spec == {"type": "quotes", "index": "famous"}


def test_a_filter_carries_what_its_plugin_made_of_it(sound: DesiredState) -> None:
    rules = sound.filters["house-rules"]
    assert rules.is_global
    assert rules.options == QuoteRules.model_validate(
        {"deny": ("q1", "2"), "maxSize": "500MiB", "minAge": "7d"}
    )
    assert rules.options.min_age == timedelta(days=7)
    assert rules.spec == {
        "type": "quotes",
        "global": True,
        "deny": ["q1", "2"],
        "maxSize": "500MiB",
        "minAge": "7d",
    }
    assert [resource.meta.name for resource in sound.filters_of(sound.repositories["team"])] == [
        "house-rules",
        "nothing",
    ]


def test_null_is_not_absence_whatever_the_key_is(refusal: Refusal) -> None:
    """Kind: a key that was emptied is read as if it had never been written."""
    written = "{type: , index: famous, retries: , tls: {verify: }, headers: , nonsense: }"
    faults = refusal(manifest("Remote", written))
    assert sorted(f"{fault.origin.column}: {fault.message}" for fault in faults) == [
        "31: `spec.retries` has nothing behind it",
        "48: `spec.tls.verify` has nothing behind it",
        "59: `spec.headers` has nothing behind it",
        "70: `spec.nonsense` has nothing behind it",
        "70: unknown key `nonsense` in `spec`",
        "8: `spec.type` has nothing behind it",
    ]
    assert {fault.hint for fault in faults if "nothing behind" in fault.message} == {NOTHING_BEHIND}


def test_an_emptied_list_of_sources_does_not_mean_none(refusal: Refusal) -> None:
    (fault,) = refusal(manifest("Repository", "{type: quotes, sources: []}"))
    assert fault.message == "`spec.sources`: an empty list selects nothing"


def test_a_repository_has_its_sources_in_order(sound: DesiredState) -> None:
    repository = sound.repositories["team"]
    source, copied, uploaded = repository.sources
    assert (source.id, source.kind, source.name, source.origin.line) == (
        "remote:famous",
        SourceKind.REMOTE,
        "famous",
        41,
    )
    assert source.options == QuoteSource.model_validate(
        {"include": ("wilde", "twain"), "exclude": ("shaw",)}
    )
    assert source.spec == {
        "remote": {"name": "famous", "include": ["wilde", "twain"], "exclude": ["shaw"]}
    }
    assert (repository.filters, repository.mode) == (("nothing",), "additive")
    assert repository.guard == Guard(0.2, True, Origin(str(GOLDEN / "sound.yaml"), 46, 3), floor=0)
    assert (copied.id, copied.kind, copied.name, copied.version) == (
        "repository:base",
        SourceKind.REPOSITORY,
        "base",
        12,
    )
    assert (copied.options, copied.spec) == (
        QuoteSource(include=("wilde",)),
        {"repository": {"name": "base", "version": 12, "include": ["wilde"]}},
    )
    assert (uploaded.id, uploaded.kind, uploaded.name, uploaded.version) == (
        "upload",
        SourceKind.UPLOAD,
        "",
        "latest",
    )
    assert (uploaded.options, uploaded.spec) == (
        QuoteSource(exclude=("shaw",)),
        {"upload": {"exclude": ["shaw"]}},
    )
    assert repository.spec["sources"] == [source.spec, copied.spec, uploaded.spec]


def test_a_publication_resolves_its_folders_but_records_what_was_written(
    sound: DesiredState,
) -> None:
    publication = sound.publications["team"]
    assert (
        publication.repository,
        publication.version,
        publication.path,
        publication.publisher,
    ) == ("team", 12, "team/quotes", "quotes")
    assert publication.exports == (str(GOLDEN / "www/team"), "/srv/www/team")
    assert publication.options == QuotePages(title="Ours")
    assert publication.spec["exports"] == [
        {"directory": {"path": "www/team"}},
        {"directory": {"path": "/srv/www/team"}},
    ]
    assert "access" not in publication.spec


@pytest.mark.parametrize(
    ("written", "version"),
    [("latest", "latest"), ("0", 0), ("13", 13), (f"sha256:{'ab' * 32}", f"sha256:{'ab' * 32}")],
)
def test_a_publication_shows_latest_a_number_or_a_digest(
    reading: Reading, written: str, version: object
) -> None:
    text = (
        manifest("Repository", "{type: quotes}")
        + "---\n"
        + manifest("Publication", f"{{repository: it, path: p, version: {written}}}")
    )
    assert reading(text).publications["it"].version == version


@pytest.mark.parametrize("written", ['"12"', "-1", "1.0", "true", "sha256:ab", "newest", "[1]"])
def test_no_other_version_will_do(refusal: Refusal, written: str) -> None:
    text = (
        manifest("Repository", "{type: quotes}")
        + "---\n"
        + manifest("Publication", f"{{repository: it, path: p, version: {written}}}")
    )
    assert [fault.message for fault in refusal(text)] == ["`spec.version`: expects a version"]


@pytest.mark.parametrize(
    ("written", "most"),
    [("30%", 0.3), ("12", 12), ("0", 0), ("0%", 0.0), ("2.5%", 0.025), ("100%", 1.0), ("1", 1)],
)
def test_a_guard_is_a_share_or_a_number(reading: Reading, written: str, most: float) -> None:
    guard = (
        reading(manifest("Repository", f"{{type: quotes, guard: {{maxRemovals: {written}}}}}"))
        .repositories["it"]
        .guard
    )
    assert guard.max_removals == most
    assert type(guard.max_removals) is type(most)


@pytest.mark.parametrize("written", ["101%", "0.3", "-1", "true", "half", "30 %"])
def test_no_other_guard_will_do(refusal: Refusal, written: str) -> None:
    faults = refusal(manifest("Repository", f"{{type: quotes, guard: {{maxRemovals: {written}}}}}"))
    assert [fault.message for fault in faults] == [
        "`spec.guard.maxRemovals`: expects a share or a whole number"
    ]


@pytest.mark.parametrize(("written", "most"), [("50/s", 50.0), ("600/m", 10.0), ("1800/h", 0.5)])
def test_rates(reading: Reading, written: str, most: float) -> None:
    assert (
        reading(manifest("Remote", f"{{type: quotes, index: famous, rateLimit: {written}}}"))
        .remotes["it"]
        .rate_limit
        == most
    )


@pytest.mark.parametrize(
    "name", ["../../etc", "a..b", "Team", "-a", ".a", "a/b", "ä", "a" * 64, '"a\\nb"', '""']
)
def test_hostile_names_are_refused(refusal: Refusal, name: str) -> None:
    (fault,) = refusal(manifest("Filter", "{type: quotes}", name))
    assert fault.message.startswith("`metadata.name`: ")
    assert fault.message.isprintable()


@pytest.mark.parametrize(
    "path",
    [
        "/team",
        "team/",
        "a//b",
        "../up",
        "a/../b",
        ".hidden",
        "-/healthz",
        "a b",
        "a%2Fb",
        "a\\b",
        "ü",
        '""',
        '"a\\0"',
        "healthz",
        "readyz/team",
        "metrics",
        "api/v1/team",
        '"-"',
    ],
)
def test_hostile_publication_paths_are_refused(refusal: Refusal, path: str) -> None:
    text = (
        manifest("Repository", "{type: quotes}")
        + "---\n"
        + manifest("Publication", f"{{repository: it, path: {path}}}")
    )
    (fault,) = refusal(text)
    assert "cannot be served" in fault.message
    assert fault.message.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "example.org",
        "https://",
        "http://[::1",
        "http://a:99999/",
        "https://e.org/?token=t",
        "https://e.org/#f",
        '"https://e.org/ x"',
        "file://host/etc",
        "file:etc",
        "file:///etc?x",
        "file:///%00",
        "~/files/",
        "files/",
        "..",
        '"/a\\nb"',
    ],
)
def test_only_plain_addresses_and_paths_that_show_themselves_are_remotes(
    refusal: Refusal, url: str
) -> None:
    (fault,) = refusal(
        manifest(
            "Remote", f"{{type: quotes, url: '{url}'}}".replace("'\"", '"').replace("\"'", '"')
        )
    )
    assert fault.message.startswith("`spec.url`: ")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("./files/", "file://{folder}/files/"),
        ("../files", "file://{parent}/files"),
        ("./a/../b c#?.txt", "file://{folder}/b%20c%23%3F.txt"),
        ("./.", "file://{folder}/"),
        ("../", "file://{parent}/"),
        ("/srv/./files/", "file:///srv/files/"),
        ("//srv/files", "file:///srv/files"),
        ("/", "file:///"),
        ("file:///srv/a%20b/", "file:///srv/a%20b/"),
    ],
)
def test_a_remote_may_be_a_place_on_disk(
    reading: Reading, tmp_path: Path, written: str, url: str
) -> None:
    remote = reading(manifest("Remote", f"{{type: quotes, url: '{written}'}}")).remotes["it"]
    assert remote.url == url.format(folder=tmp_path, parent=tmp_path.parent)
    assert remote.spec["url"] == written


def test_files_on_demand_can_be_published_but_not_exported(
    reading: Reading, refusal: Refusal
) -> None:
    text = (
        manifest("Remote", "{type: quotes, url: ./f/, policy: on-demand}")
        + "---\n"
        + manifest("Repository", "{type: quotes, sources: [{remote: {name: it}}]}")
    )
    publication = "---\n" + manifest("Publication", "{repository: it, path: p%s}")
    assert reading(text + publication % "").remotes["it"].policy == "on-demand"
    (fault,) = refusal(text + publication % ", exports: [{directory: {path: x}}]")
    assert str(fault.origin) == "m.yaml:14:33"
    assert fault.hint == "set `policy: immediate` for `it`, or remove `exports`"


def test_who_may_upload_is_told_by_references_to_secrets(sound: DesiredState) -> None:
    newest = sound.publications["newest"]
    secret = Secret(file=str(GOLDEN / "secrets/ci"))
    assert newest.uploaders == (
        Uploader(token=Secret(env="TEAM_UPLOAD_TOKEN")),
        Uploader(username="ci", password=secret),
    )
    assert newest.spec["access"]["upload"] == [
        {"token": {"env": "TEAM_UPLOAD_TOKEN"}},
        {"username": "ci", "password": {"file": "secrets/ci"}},
    ]
    assert sound.publications["team"].uploaders == ()


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        "{token: {env: A}, username: ci, password: {env: B}}",
        "{username: ci}",
        "{password: {env: B}}",
    ],
)
def test_whoever_uploads_has_a_token_or_a_name_and_a_password(
    refusal: Refusal, written: str
) -> None:
    text = manifest("Repository", "{type: quotes, sources: [{upload: {}}]}")
    (fault,) = refusal(
        text
        + "---\n"
        + manifest("Publication", f"{{repository: it, path: p, access: {{upload: [{written}]}}}}")
    )
    assert (
        fault.message
        == "`spec.access.upload[0]`: expects either `token`, or `username` and `password`"
    )


def test_a_long_chain_of_copies_is_followed_to_its_end(reading: Reading, refusal: Refusal) -> None:
    chain = [
        manifest(
            "Repository",
            f"{{type: quotes, sources: [{{repository: {{name: r{number + 1}}}}}]}}",
            f"r{number}",
        )
        for number in range(3000)
    ]
    assert (
        len(
            reading(
                "---\n".join([*chain, manifest("Repository", "{type: quotes}", "r3000")])
            ).repositories
        )
        == 3001
    )
    (fault,) = refusal(
        "---\n".join(
            [
                *chain,
                manifest(
                    "Repository", "{type: quotes, sources: [{repository: {name: r2998}}]}", "r3000"
                ),
            ]
        )
    )
    assert "`r2998 -> r2999 -> r3000 -> r2998`" in fault.message


def test_repositories_may_share_what_they_copy_from(reading: Reading) -> None:
    copies = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}
    specs = {
        name: ", ".join(f"{{repository: {{name: {manifest}}}}}" for manifest in sources)
        or "{upload: {}}"
        for name, sources in copies.items()
    }
    state = reading(
        "---\n".join(
            manifest("Repository", f"{{type: quotes, sources: [{sources}]}}", name)
            for name, sources in specs.items()
        )
    )
    assert [source.id for source in state.repositories["a"].sources] == [
        "repository:b",
        "repository:c",
    ]


def test_unknown_references_and_types_are_found_although_their_documents_are_broken_elsewhere(
    refusal: Refusal,
) -> None:
    text = manifest(
        "Repository",
        "{type: quotes, sources: [{remote: {name: gone}}], filters: [absent], sync: 3}",
    )
    assert sorted(fault.message for fault in refusal(text)) == [
        "`spec.filters[0]`: unknown Filter `absent`",
        "`spec.sources[0].remote.name`: unknown Remote `gone`",
        "`spec.sync`: expects a mapping",
    ]


def test_the_digest_knows_meaning_only(tmp_path: Path) -> None:
    documents = (GOLDEN / "sound.yaml").read_text(encoding="utf-8").split("---\n")
    digests = set()
    for seed in range(6):
        folder = tmp_path / str(seed)
        folder.mkdir()
        random.Random(seed).shuffle(documents)
        for index, document in enumerate(documents):
            (folder / f"{index}.yaml").write_text(f"# {seed}\n{document}", encoding="utf-8")
        digests.add(read([folder], registry(), limits=ANYWHERE).digest)
    assert len(digests) == 1


def test_defaults_written_out_change_nothing(reading: Reading) -> None:
    written = (
        "{type: quotes, index: famous, retries: 4, concurrency: 32, policy: immediate, tls:"
        " {verify: true}, headers: {}, timeouts: {}}"
    )
    assert (
        reading(manifest("Remote", written)).digest
        == reading(manifest("Remote", "{type: quotes, index: famous}")).digest
    )
    repository = (
        "{type: quotes, filters: [], sync: {mode: mirror}, guard: {maxRemovals: 30%,"
        " preventDestroy: false}}"
    )
    assert (
        reading(manifest("Repository", repository)).digest
        == reading(manifest("Repository", "{type: quotes}")).digest
    )


def test_specifications_are_plain_canonical_data(sound: DesiredState) -> None:
    for resource in sound:
        assert b'"type"' in canonical(dict(resource.spec)) or resource.meta.kind is Kind.PUBLICATION


def test_generated_manifests_are_sound(tmp_path: Path) -> None:
    generate(tmp_path / "m", 40)
    state = read([tmp_path / "m"], registry())
    assert [
        len(table)
        for table in (state.remotes, state.filters, state.repositories, state.publications)
    ] == [10] * 4
    assert all(
        18 <= len(path.read_text().splitlines()) <= 22 for path in (tmp_path / "m").iterdir()
    )
    assert next(iter(state)).meta.ref == Ref(Kind.REMOTE, "remote-0")
