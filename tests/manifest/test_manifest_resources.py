"""Valid manifests become typed resources with canonical specifications."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.errors import Origin
from reconciler.manifest import read
from reconciler.manifest.validation import NOTHING_BEHIND
from reconciler.model import DesiredState, Guard, Kind, Ref, SourceKind, canonical
from tests.manifest.conftest import ANYWHERE, GOLDEN, Reading, Refusal, manifest
from tests.support.manifests import generate
from tests.support.quotes import QuoteRules, QuoteSource, registry


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


@pytest.mark.parametrize(
    "name", ["../../etc", "a..b", "Team", "-a", ".a", "a/b", "ä", "a" * 64, '"a\\nb"', '""']
)
def test_hostile_names_are_refused(refusal: Refusal, name: str) -> None:
    (fault,) = refusal(manifest("Filter", "{type: quotes}", name))
    assert fault.message.startswith("`metadata.name`: ")
    assert fault.message.isprintable()


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
