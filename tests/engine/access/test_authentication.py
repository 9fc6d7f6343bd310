"""Headers prove rules of a publication, each the rule that it fulfils."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.engine.access.authentication import authenticate
from reconciler.model import AccessRule, Digest, Grant, Secret

NOW = datetime(2026, 12, 1, tzinfo=UTC)
GENERATED = "reconciler_0123456789"


def secret(folder: Path, name: str, value: str) -> Secret:
    path = folder / name
    path.write_text(value)
    return Secret(file=str(path))


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@pytest.fixture
def rules(tmp_path: Path) -> list[AccessRule]:
    token = secret(tmp_path, "token", "of-all")
    return [
        AccessRule(token=token, expires=NOW),
        AccessRule(token=token),
        AccessRule(token=secret(tmp_path, "missing", ""), username="nobody"),
        AccessRule(username="ci", password=secret(tmp_path, "ci", "pw"), projects=("acme-*",)),
        AccessRule(username="bot", token_digest=Digest.of(GENERATED.encode())),
    ]


@pytest.mark.parametrize(
    ("header", "grant"),
    [
        ("Bearer of-all", Grant("token")),
        (basic("__token__", "of-all"), Grant("token")),
        (basic("ci", "pw"), Grant("ci", ("acme-*",))),
        (f"bearer {GENERATED}", Grant("bot")),
        (basic("__token__", GENERATED), Grant("bot")),
        (None, None),
        ("", None),
        ("Bearer ", None),
        ("Basic ", None),
        ("Basic !", None),
        ("Basic \xe9", None),
        ("Basic /w==", None),
        ("Digest of-all", None),
        (basic("other", "of-all"), None),
        (basic("ci", "of-all"), None),
        (basic("bot", GENERATED), None),
        (basic("__token__", ""), None),
        (f"Bearer {Digest.of(GENERATED.encode()).hex}", None),
    ],
)
def test_a_header_proves_the_rule_that_it_fulfils_and_no_other(
    header: str | None, grant: Grant | None, rules: list[AccessRule]
) -> None:
    assert authenticate(rules, header, now=NOW) == grant


def test_a_rule_opens_nothing_from_the_moment_at_which_it_expires(rules: list[AccessRule]) -> None:
    [expiring, *_] = rules
    before = NOW - timedelta(microseconds=1)
    grant = authenticate([expiring], "Bearer of-all", now=before)
    assert grant == Grant("token", expires=NOW)
    assert (grant.has_expired(before), grant.has_expired(NOW)) == (False, True)
    assert authenticate([expiring], "Bearer of-all", now=NOW) is None


def test_a_grant_of_some_names_covers_nothing_without_one() -> None:
    some = Grant("ci", ("acme-*", "tool"))
    assert [some.covers(name) for name in ("acme-app", "tool", "acme", "tools", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert Grant("ci").covers("")
