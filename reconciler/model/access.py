"""Access to publications: references to secrets, the rules that hold them, and what they permit."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase

import msgspec

from reconciler.model.digest import Digest

MANAGE_PATH = "manage/"  # below a publication: requests of those who manage its content
# By custom of package indexes, this name goes with every token.
TOKEN_USER = "__token__"  # noqa: S105


class Secret(msgspec.Struct, frozen=True):
    """A reference to a secret, never its value.

    Exactly one of `env` (variable name) and `file` (absolute path) is set.
    """

    env: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        return f"env {self.env}" if self.env else f"file {self.file}"


class Oidc(msgspec.Struct, frozen=True):
    """Contents that an identity token must have: its issuer, our audience, globs by claim."""

    issuer: str
    audience: str
    claims: tuple[tuple[str, tuple[str, ...]], ...]


class AccessRule(msgspec.Struct, frozen=True):
    """Credentials that open a publication, for readers, uploaders or managers.

    Exactly one of `token`, `token_digest` (of a generated token), `password` and `oidc` is set; a
    password has a `username`, a token may have one, which is then what records call its user.
    `projects`: globs of group names, none: all. `expires`: from when on it opens nothing.
    """

    token: Secret | None = None
    username: str = ""
    password: Secret | None = None
    token_digest: Digest | None = None
    projects: tuple[str, ...] = ()
    expires: datetime | None = None
    oidc: Oidc | None = None

    def has_expired(self, now: datetime) -> bool:
        """Return True from the moment `expires` on."""
        return _is_over(self.expires, now)


class Grant(msgspec.Struct, frozen=True):
    """Permission of a client. `principal`: its name in records; `token` for one without.

    `projects`: globs of the names that it is for; none: all. `expires`: as of its rule.
    """

    principal: str
    projects: tuple[str, ...] = ()
    expires: datetime | None = None

    def has_expired(self, now: datetime) -> bool:
        """Return True from the moment `expires` on."""
        return _is_over(self.expires, now)

    def covers(self, name: str) -> bool:
        """Return True for a name of the grant; what has no name is for a grant of all alone."""
        return not self.projects or any(fnmatchcase(name, glob) for glob in self.projects)


def _is_over(expires: datetime | None, now: datetime) -> bool:
    return expires is not None and now >= expires
