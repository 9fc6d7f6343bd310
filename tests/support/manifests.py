"""Manifests by the thousand: a folder of sound documents of some 20 lines each, for tests and
benchmarks.
"""

from __future__ import annotations

from pathlib import Path

_HEAD = """\
apiVersion: reconciler/v1
kind: {kind}
metadata:
  name: {name}
  labels:
    team: data-{number}
    stage: production
spec:
"""
_REMOTE = """\
  type: {type}
  url: https://index-{number}.example.org/simple/
  auth:
    username: {{env: INDEX_USER}}
    password: {{file: secrets/index}}
  headers:
    X-Team: data
  timeouts: {{connect: 5s, read: 30s, total: 20m}}
  retries: 3
  concurrency: 8
  rateLimit: 50/s
"""
_FILTER = """\
  type: {type}
  deny:
    - evil-package
    - another-{number}
    - third-one
    - fourth-one
    - fifth-one
    - sixth-one
    - seventh-one
    - eighth-one
    - ninth-one
    - tenth-one
"""
_REPOSITORY = """\
  type: {type}
  sources:
    - remote:
        name: remote-{number}
        include: [alpha, beta, gamma, delta]
        exclude: [epsilon]
  filters:
    - filter-{number}
  sync:
    mode: additive
  guard:
    maxRemovals: 20%
    preventDestroy: true
"""
_PUBLICATION = """\
  repository: repository-{number}
  # What is served is what was published last.
  version: latest
  path: teams/team-{number}
  publisher: {type}
  access:
    read:
      - public
  exports:
    - directory:
        path: exports/team-{number}
"""
_KINDS = {
    "Remote": _REMOTE,
    "Filter": _FILTER,
    "Repository": _REPOSITORY,
    "Publication": _PUBLICATION,
}


def generate(folder: Path, count: int, type: str = "quotes") -> None:
    """Write `count` files into `folder`, one document each, the four kinds in turn; every reference
    is to one of them.

    `count` should be a multiple of four; `type` is that of every resource.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        kind = list(_KINDS)[index % 4]
        number = index // 4
        text = (_HEAD + _KINDS[kind]).format(
            kind=kind, name=f"{kind.lower()}-{number}", number=number, type=type
        )
        (folder / f"{index:06}.yaml").write_text(text, encoding="utf-8")
