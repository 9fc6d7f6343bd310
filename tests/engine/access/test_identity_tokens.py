"""Identity tokens prove rules as their issuer signs them, and nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.engine.access.identity_tokens import IdentityTokens, issuer_keys
from reconciler.errors import Malformed, Refused, Unreachable
from reconciler.model import AccessRule, Grant, Oidc
from tests.support.issuer import AUDIENCE, SUBJECT, Issuer, issuing, public_jwk


def now() -> datetime:
    return datetime.now(UTC)


class Clock:
    """Seconds that pass when a test says so."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def served() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def issuer(served: Issuer) -> Issuer:
    served.asked.clear()
    served.broken, served.named = False, served.url
    for name in served.keys.keys() - {"rsa", "ec"}:
        del served.keys[name]
    return served


def rule(issuer: Issuer, *, projects: tuple[str, ...] = (), **claims: str) -> AccessRule:
    wanted = claims or {"repository": "acme/*"}
    pairs = tuple((name, (value,)) for name, value in wanted.items())
    return AccessRule(oidc=Oidc(issuer.url, AUDIENCE, pairs), projects=projects)


def proven(issuer: Issuer, token: str, *rules: AccessRule) -> Grant | None:
    chosen = rules or (rule(issuer),)
    return IdentityTokens().authenticate(chosen, f"Bearer {token}", now=now())


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_a_token_of_the_issuer_proves_the_rule_whose_claims_it_has(
    key: str, issuer: Issuer
) -> None:
    token = issuer.token(key)
    other = rule(issuer, repository="other/*")
    grant = proven(issuer, token, other, rule(issuer, projects=("acme-*",)))
    assert grant is not None
    assert (grant.principal, grant.projects) == (f"{SUBJECT} (127.0.0.1)", ("acme-*",))
    assert grant.expires is not None
    assert timedelta(0) < grant.expires - now() < timedelta(minutes=7)
    assert proven(issuer, token, other) is None
    basic = base64.b64encode(f"__token__:{token}".encode()).decode()
    tokens = IdentityTokens()
    assert tokens.authenticate([rule(issuer)], f"Basic {basic}", now=now()) is not None
    expired = AccessRule(oidc=rule(issuer).oidc, expires=now() - timedelta(1))
    assert tokens.authenticate([expired], f"Bearer {token}", now=now()) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": -120},
        {"nbf": 600},
        {"iat": 600},
        {"aud": "another"},
        {"aud": [f"{AUDIENCE}/"]},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"aud": None},
        {"iss": None},
        {"iss": "https://issuer.example.org"},
        {"repository": "acme"},
        {"repository": None},
        {"repository": {"acme/app": 1}},
    ],
    ids=str,
)
def test_a_token_that_says_something_else_proves_nothing(
    claims: dict[str, Any], issuer: Issuer
) -> None:
    """Numbers are seconds from now: names of tests must not depend on when they are collected."""
    later = time.time()
    said: dict[str, Any] = {
        name: later + value if isinstance(value, int) else value for name, value in claims.items()
    }
    assert proven(issuer, issuer.token(**said)) is None


def test_clocks_may_differ_by_a_minute(issuer: Issuer) -> None:
    here = int(time.time())
    assert proven(issuer, issuer.token(exp=here - 30)) is not None
    assert proven(issuer, issuer.token(nbf=here + 30, iat=here + 30)) is not None


@pytest.mark.parametrize(
    ("wanted", "claim", "is_proven"),
    [
        ("refs/heads/main", "refs/heads/main", True),
        ("refs/heads/*", "refs/heads/a/b", True),
        ("refs/heads/main", "refs/heads/Main", False),
        ("refs/heads/main", "refs/heads/main\n", False),
        ("true", True, True),
        ("7", 7, True),
        ("b", ["a", "b"], True),
        ("c", ["a", "b"], False),
        ("*", None, False),
        ("None", None, False),
    ],
)
def test_claims_are_compared_whole_or_by_globs(
    wanted: str, claim: Any, *, is_proven: bool, issuer: Issuer
) -> None:
    assert (proven(issuer, issuer.token(ref=claim), rule(issuer, ref=wanted)) is not None) is (
        is_proven
    )


def test_signatures_that_need_no_private_key_prove_nothing(issuer: Issuer) -> None:
    """`none`, a shared secret made of the public key, and keys that the token brings along."""
    claims, stranger = issuer.claims(), ec.generate_private_key(ec.SECP256R1())
    pem = (
        issuer.keys["rsa"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for key in ("rsa", "ec"):
        for header in ({"alg": "none"}, {"alg": "HS256"}, {"alg": "RS256"}, {"alg": "ES256"}):
            assert proven(issuer, forged({"kid": key, **header}, claims, pem)) is None
    own = {"kid": "mine", "jwk": public_jwk("mine", stranger), "jku": f"{issuer.url}/keys"}
    for name in ("mine", "ec", "rsa"):
        token = jwt.encode(claims, stranger, "ES256", headers={**own, "kid": name})
        assert proven(issuer, token) is None
    assert proven(issuer, jwt.encode(claims, "", "none")) is None
    crit = jwt.encode(claims, issuer.keys["ec"], "ES256", headers={"kid": "ec", "crit": ["x"]})
    assert proven(issuer, crit) is None


def forged(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    signed = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.digest(secret, signed, hashlib.sha256))).decode()


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer ", "Bearer a.b.c", "Bearer ..", "Bearer " + "a" * 99_999 + ".b.c"],
)
def test_what_is_no_token_asks_no_issuer(header: str | None, issuer: Issuer) -> None:
    assert IdentityTokens().authenticate([rule(issuer)], header, now=now()) is None
    assert issuer.asked == []


def test_a_token_of_an_issuer_that_no_rule_names_asks_none(issuer: Issuer) -> None:
    token = issuer.token(iss="https://169.254.169.254")
    assert proven(issuer, token) is None
    assert issuer.asked == []


def test_keys_are_kept_and_read_again_for_a_new_key_but_not_for_every_stranger(
    issuer: Issuer,
) -> None:
    clock = Clock()
    tokens = IdentityTokens(clock=clock)

    def admits(token: str) -> bool:
        return tokens.authenticate([rule(issuer)], f"Bearer {token}", now=now()) is not None

    assert [admits(issuer.token()) for _ in range(3)] == [True] * 3
    assert len(issuer.asked) == 2
    issuer.keys["next"] = ec.generate_private_key(ec.SECP256R1())
    assert not admits(issuer.token("next")), "read just now"
    clock.seconds += 31
    assert admits(issuer.token("next"))
    unknown = jwt.encode(issuer.claims(), issuer.keys["ec"], "ES256", headers={"kid": "gone"})
    for _ in range(20):
        assert not admits(unknown)
    assert len(issuer.asked) == 4
    issuer.broken = True
    clock.seconds += 7_200
    assert admits(issuer.token("next")), "keys that are known serve while the issuer is away"
    clock.seconds += 86_400
    with pytest.raises(Unreachable, match="does not say its keys now"):
        admits(issuer.token("next"))


def test_an_issuer_that_is_away_is_not_asked_for_every_request(issuer: Issuer) -> None:
    """Any client can name an issuer, and each reading holds a thread until its time-out."""
    asked: list[str] = []

    def away(url: str) -> Any:
        asked.append(url)
        raise Unreachable("no answer")

    clock = Clock()
    tokens = IdentityTokens(away, clock)
    header = f"Bearer {issuer.token()}"
    for _ in range(5):
        with pytest.raises(Unreachable, match="does not say its keys now"):
            tokens.authenticate([rule(issuer)], header, now=now())
    assert len(asked) == 1
    clock.seconds += 31
    with pytest.raises(Unreachable):
        tokens.authenticate([rule(issuer)], header, now=now())
    assert len(asked) == 2


@pytest.mark.parametrize("end", [1e300, 10**14, 253_402_300_799])
def test_a_token_that_never_ends_is_one_all_the_same(end: float, issuer: Issuer) -> None:
    grant = proven(issuer, issuer.token(exp=end))
    assert grant is not None
    assert not grant.has_expired(now())


def test_records_name_the_issuer_of_a_subject_of_any_length(issuer: Issuer) -> None:
    grant = proven(issuer, issuer.token(sub="s" * 9_000))
    assert grant is not None
    assert grant.principal.endswith(" (127.0.0.1)")
    assert len(grant.principal) < 600


def test_an_issuer_speaks_for_itself_alone(issuer: Issuer) -> None:
    issuer.named = "https://other.example.org"
    with pytest.raises(Malformed, match="that of another issuer"):
        issuer_keys(issuer.url)


def test_an_issuer_leads_to_no_forbidden_address() -> None:
    with pytest.raises((Refused, Unreachable)):
        issuer_keys("https://169.254.169.254")
