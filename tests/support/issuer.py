"""An issuer of identity tokens on loopback: discovery document, key set, tokens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "packages"
SUBJECT = "repo:acme/app:ref:refs/heads/main"
_RSA = rsa.generate_private_key(65537, 2048)  # once: making one takes long


class Issuer:
    """`keys`: private keys by ID; `asked`: paths, in order; `broken`: answers 500."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.named = url
        self.keys: dict[str, Any] = {"rsa": _RSA, "ec": ec.generate_private_key(ec.SECP256R1())}
        self.asked: list[str] = []
        self.broken = False

    def documents(self) -> Mapping[str, Any]:
        """Every document by its path."""
        discovery = {"issuer": self.named, "jwks_uri": f"{self.url}/keys"}
        return {
            "/.well-known/openid-configuration": discovery,
            "/keys": {"keys": [public_jwk(name, key) for name, key in self.keys.items()]},
        }

    def claims(self, **more: Any) -> dict[str, Any]:
        """Return claims of a job, valid for five minutes."""
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": SUBJECT,
            "repository": "acme/app",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            **more,
        }

    def token(self, key: str = "rsa", algorithm: str = "", **more: Any) -> str:
        """Sign claims. `more`: claims that differ, None for one that is left out."""
        claims = {name: value for name, value in self.claims(**more).items() if value is not None}
        chosen = algorithm or {"rsa": "RS256"}.get(key, "ES256")
        return jwt.encode(claims, self.keys[key], chosen, headers={"kid": key})


def public_jwk(name: str, key: Any) -> dict[str, Any]:
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    public = algorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": name, "use": "sig"}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            document = issuer.documents().get(self.path)
            body = json.dumps(document).encode()
            self.send_response(500 if issuer.broken else 404 if document is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
