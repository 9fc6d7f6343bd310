"""Keys of manifests that a source's answers are committed under: all that can change the outcome.

What a key was when something was committed decides whether it still stands. Every key counts, but
for those that are listed here with the reason: a key that is new in a manifest counts at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model import Digest, Remote, Repository

# How fast, how patiently, and from where files come that a digest verifies: an answer is the same,
# or a failure, under which nothing stands.
PACE = frozenset({"timeouts", "retries", "concurrency", "rateLimit", "mirrors"})
# Counted by their meaning: the URL that is asked, and a policy other than `immediate`.
ADDRESS = frozenset({"type", "index", "url", "policy"})
# Sources are counted one by one, filters with the selection; guards stop a plan as a whole, quotas
# an upload.
APART = frozenset({"type", "sources", "filters", "guard", "quota"})


def under_repository_keys(rules: Digest, repository: Repository) -> Digest:
    """Return the digest of rules with the keys of a repository; `rules` where none is written."""
    return _with_keys(rules, repository.spec, APART)


def under_remote_keys(rules: Digest, remote: Remote) -> Digest:
    """Return the digest of rules with the keys of a remote; `rules` where none is written."""
    return _with_keys(rules, remote.spec, PACE | ADDRESS)


def _with_keys(rules: Digest, spec: Mapping[str, Any], but: frozenset[str]) -> Digest:
    keys = {name: value for name, value in spec.items() if name not in but}
    return Digest.of_value([rules.hex, keys]) if keys else rules
