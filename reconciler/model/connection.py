"""Settings of connections: credentials, certificates, networks."""

from __future__ import annotations

import msgspec

from reconciler.model.access import Secret


class Auth(msgspec.Struct, frozen=True):
    username: str | Secret
    password: Secret


class Tls(msgspec.Struct, frozen=True):
    verify: bool = True
    ca: str | None = None
    client_cert: str | None = None
    client_key: Secret | None = None


class Egress(msgspec.Struct, frozen=True):
    """Networks (CIDR) that a remote may connect to beside the usual ones, and may not."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
