"""Publications in manifests: versions, paths, exports and who may upload."""

from __future__ import annotations

import pytest

from reconciler.model import AccessRule, DesiredState, Secret
from tests.manifest.conftest import GOLDEN, Reading, Refusal, manifest
from tests.support.quotes import QuotePages


def published(keys: str, repository: str = "{type: quotes}") -> str:
    """Return the text of a repository and of its publication with these keys."""
    publication = manifest("Publication", f"{{repository: it, {keys}}}")
    return f"{manifest('Repository', repository)}---\n{publication}"


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
    text = published(f"path: p, version: {written}")
    assert reading(text).publications["it"].version == version


@pytest.mark.parametrize("written", ['"12"', "-1", "1.0", "true", "sha256:ab", "newest", "[1]"])
def test_no_other_version_will_do(refusal: Refusal, written: str) -> None:
    text = published(f"path: p, version: {written}")
    assert [fault.message for fault in refusal(text)] == ["`spec.version`: expects a version"]


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
    text = published(f"path: {path}")
    (fault,) = refusal(text)
    assert "cannot be served" in fault.message
    assert fault.message.isprintable()


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
        AccessRule(token=Secret(env="TEAM_UPLOAD_TOKEN")),
        AccessRule(username="ci", password=secret),
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
        "{token: {env: A}, tokenDigest: 'sha256:%s'}" % ("ab" * 32),
        "{username: ci}",
        "{password: {env: B}}",
    ],
)
def test_whoever_uploads_has_a_token_or_a_name_and_a_password(
    refusal: Refusal, written: str
) -> None:
    text = published(
        f"path: p, access: {{upload: [{written}]}}", "{type: quotes, sources: [{upload: {}}]}"
    )
    (fault,) = refusal(text)
    assert fault.message == (
        "`spec.access.upload[0]`: expects either `token`, `tokenDigest`, `oidc`, or `username`"
        " and `password`"
    )


@pytest.mark.parametrize(
    ("oidc", "message"),
    [
        ("issuer: 'https://i.example.org', audience: a, claims: {}", "claims"),
        ("issuer: 'https://i.example.org', audience: a, claims: {sub: []}", "claims"),
        ("issuer: 'https://i.example.org', claims: {sub: a}", "audience"),
        ("issuer: 'http://i.example.org', audience: a, claims: {sub: a}", "issuer"),
        ("issuer: 'https://u:p@i.example.org', audience: a, claims: {sub: a}", "issuer"),
        ("issuer: 'https://i.example.org?a=b', audience: a, claims: {sub: a}", "issuer"),
    ],
)
def test_identity_tokens_are_of_a_safe_issuer_and_say_something(
    refusal: Refusal, oidc: str, message: str
) -> None:
    text = published(
        f"path: p, access: {{upload: [{{oidc: {{{oidc}}}}}]}}",
        "{type: quotes, sources: [{upload: {}}]}",
    )
    (fault,) = refusal(text)
    assert ".oidc" in fault.message
    assert message in fault.message
