"""`reconciler token`: make a token for readers or uploaders."""

from __future__ import annotations

from reconciler.cli import output
from reconciler.cli.output import Layout, LayoutOption

NAME = "token"
PREFIX = "reconciler_"  # by which scanners of secrets know it
RANDOM_BYTES = 32


def command(layout: LayoutOption = Layout.TABLE) -> int:
    """Make a random token, and the digest of it that a manifest may hold.

    The token is shown once and kept nowhere.
    """
    import secrets

    from reconciler.model import Digest

    token = f"{PREFIX}{secrets.token_urlsafe(RANDOM_BYTES)}"
    digest = str(Digest.of(token.encode()))
    output.answer(
        layout,
        {"token": token, "tokenDigest": digest},
        lambda: [
            f"token: {token}",
            f"tokenDigest: {digest}",
            "",
            "The token is shown this once: give it to the client. The digest goes into a manifest,",
            "into `access.read` or `access.upload` of a Publication.",
        ],
    )
    return 0
