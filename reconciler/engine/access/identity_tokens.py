"""Identity tokens of OpenID Connect: who a job or a person is, as their issuer says it.

A token is a JWT that the issuer has signed with a key of its JWK set, which its discovery document
names. Only asymmetric signatures count: a token whose header asks for `none` or for a shared secret
proves nothing, and a key serves the algorithm alone that it is made for. Keys are kept for a while,
and read again early for a key ID that is new: issuers rotate them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from reconciler.engine.access.authentication import presented
from reconciler.errors import Malformed, Origin, ReconcilerError, Unreachable
from reconciler.model import AccessRule, Grant, Kind, Meta, Oidc, Remote
from reconciler.redaction import sanitize
from reconciler.remote import open_fetcher

ALGORITHMS: Mapping[str, frozenset[str]] = {  # by the type of the key
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC": frozenset({"ES256", "ES384", "ES512"}),
    "OKP": frozenset({"EdDSA"}),
}
LONGEST = 16 * 1024  # letters of a token
LARGEST = 512 * 1024  # bytes of a document of an issuer
LEEWAY = 60  # seconds that clocks may differ
FRESH = 3_600.0  # seconds for which keys are not read again
STALE = 86_400.0  # seconds for which they serve while the issuer does not answer
AGAIN = 30.0  # seconds between two readings for key IDs that are not known
WELL_KNOWN = "/.well-known/openid-configuration"

logger = logging.getLogger(__name__)
Keys = Sequence[Mapping[str, Any]]


@dataclass
class _Issuer:
    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: Keys = ()
    read_at: float | None = None
    tried_at: float | None = None


class IdentityTokens:
    """Verifies identity tokens. Thread-safe.

    read_keys: returns the keys of an issuer; raises ReconcilerError.
    """

    def __init__(
        self,
        read_keys: Callable[[str], Keys] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._read_keys = read_keys or issuer_keys
        self._clock = clock
        self._lock = threading.Lock()
        self._issuers: dict[str, _Issuer] = {}

    def authenticate(
        self, rules: Iterable[AccessRule], authorization: str | None, *, now: datetime
    ) -> Grant | None:
        """Return what a token proves, by the first rule that it fulfils; None where there is none.

        Raises Unreachable where the keys of its issuer cannot be known now.
        """
        candidates = [
            (rule, rule.oidc)
            for rule in rules
            if rule.oidc is not None and not rule.has_expired(now)
        ]
        shown = presented(authorization or "") if candidates else None
        token = shown[1] if shown is not None and shown[0] in (None, "__token__") else ""
        if token.count(".") != 2 or len(token) > LONGEST:
            return None
        issuer = _claimed_issuer(token)
        for rule, oidc in candidates:
            if oidc.issuer != issuer:
                continue
            claims = self.verified(token, oidc)
            if claims is not None and fulfils(claims, oidc):
                ends = _end_of(claims)
                expires = ends if rule.expires is None else min(ends, rule.expires)
                return Grant(principal_of(claims), rule.projects, expires)
        return None

    def verified(self, token: str, oidc: Oidc) -> Mapping[str, Any] | None:
        """Return the claims of a token that its issuer signed for our audience and that is valid.

        Raises Unreachable where the keys of its issuer cannot be known now.
        """
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            key = self._key(oidc.issuer, header)
            if key is None or "crit" in header:
                return None
            algorithm = str(header["alg"])
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key=jwt.PyJWK(dict(key), algorithm=algorithm),
                algorithms=[algorithm],
                audience=oidc.audience,
                issuer=oidc.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            logger.debug("an identity token is not valid: %s", sanitize(str(error), 200))
            return None
        return claims

    def _key(self, issuer: str, header: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the key that a token names, if it may sign with the algorithm that it names."""
        with self._lock:
            known = self._issuers.setdefault(issuer, _Issuer())
        with known.lock:
            if known.read_at is None or self._clock() - known.read_at > FRESH:
                self._read(issuer, known)
            key = _chosen(known.keys, header)
            tried = known.tried_at
            if key is None and (tried is None or self._clock() - tried > AGAIN):
                self._read(issuer, known)
                key = _chosen(known.keys, header)
            return key

    def _read(self, issuer: str, known: _Issuer) -> None:
        """Read keys; not again at once where that failed: any client can name an issuer.

        Raises Unreachable where there are none that serve meanwhile.
        """
        now = self._clock()
        if known.tried_at is None or now - known.tried_at > AGAIN:
            try:
                known.keys, known.read_at = self._read_keys(issuer), now
            except ReconcilerError as error:
                logger.warning("the keys of issuer `%s` cannot be read: %s", issuer, error)
            known.tried_at = self._clock()
        if known.read_at is None or now - known.read_at > STALE:
            raise Unreachable(f"the issuer `{issuer}` does not say its keys now", retry_after=AGAIN)


def fulfils(claims: Mapping[str, Any], oidc: Oidc) -> bool:
    """Return True for claims that hold, for each name of a rule, one of its values or globs."""
    return all(
        any(fnmatchcase(text, glob) for text in _texts(claims.get(name)) for glob in globs)
        for name, globs in oidc.claims
    )


def _end_of(claims: Mapping[str, Any]) -> datetime:
    """Return when a token ends; the last moment that can be told for one beyond that."""
    try:
        return datetime.fromtimestamp(int(claims["exp"]) + LEEWAY, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def principal_of(claims: Mapping[str, Any]) -> str:
    """Return what records call the subject of a token: `repo:acme/app:ref:... (issuer.example)`.

    The issuer stands in it however long the subject is: another one may know the same subject.
    """
    host = urlsplit(str(claims["iss"])).hostname or ""
    return f"{sanitize(str(claims['sub']), 300)} ({sanitize(host, 255)})"


def issuer_keys(issuer: str) -> Keys:
    """Return the signing keys of an issuer, read through its discovery document.

    The rules of remotes for connections and redirects apply; the key set may lie on another host,
    which the discovery document names, over https. Not to be called from an event loop.
    """
    return asyncio.run(_issuer_keys(issuer))


async def _issuer_keys(issuer: str) -> Keys:
    document = await _document(issuer, f"{issuer.rstrip('/')}{WELL_KNOWN}")
    if document.get("issuer") != issuer:
        raise Malformed(f"the discovery document of `{issuer}` is that of another issuer")
    place = document.get("jwks_uri")
    if not isinstance(place, str) or urlsplit(place).scheme not in ("http", "https"):
        raise Malformed(f"the discovery document of `{issuer}` names no `jwks_uri`")
    keys = (await _document(issuer, place)).get("keys")
    if not isinstance(keys, list):
        raise Malformed(f"the key set of `{issuer}` holds no `keys`")
    return [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]


async def _document(issuer: str, url: str) -> Mapping[str, Any]:
    host = urlsplit(url).netloc.rpartition("@")[2].lower()
    remote = Remote(
        Meta(Kind.REMOTE, issuer, Origin("", 0)),
        {},
        "oidc",
        url=issuer,
        connect_timeout=5,
        read_timeout=10,
        total_timeout=15,
        retries=1,
        redirects=(host,),
    )
    fetcher = open_fetcher(remote, issuer)
    try:
        headers = {"Accept": "application/json"}
        response = await fetcher.get(url, headers=headers, limit=LARGEST)
    finally:
        await fetcher.close()
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Malformed(f"`{url}` is not a JSON object")
    return document


def _claimed_issuer(token: str) -> str | None:
    """Return the issuer that a token names, which nothing has proved yet."""
    import jwt

    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else None


def _chosen(keys: Keys, header: Mapping[str, Any]) -> Mapping[str, Any] | None:
    algorithm, name = header.get("alg"), header.get("kid")
    fitting = [
        key
        for key in keys
        if algorithm in ALGORITHMS.get(str(key.get("kty")), ())
        and key.get("alg", algorithm) == algorithm
        and (name is None or key.get("kid") == name)
    ]
    return fitting[0] if len(fitting) == 1 or (fitting and name is not None) else None


def _texts(value: Any) -> list[str]:
    """Return a claim as texts: one, or several of a list; none where it is missing."""
    values = value if isinstance(value, list) else [value]
    return [
        str(each).lower() if isinstance(each, bool) else str(each)
        for each in values
        if isinstance(each, str | bool | int)
    ]
