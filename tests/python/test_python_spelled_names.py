"""Names in manifests mean projects however they are spelled: a rule protects what it seems to."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.engine.sources.ownership import NameOwnership
from reconciler.manifest import read
from reconciler.model import Grant
from reconciler.plugin.registry import Registry

MANIFESTS = """\
apiVersion: reconciler/v1
kind: Repository
metadata: {{name: team}}
spec: {{type: python, sources: [upload: {{names: ["{glob}"]}}]}}
---
apiVersion: reconciler/v1
kind: Publication
metadata: {{name: team}}
spec:
  repository: team
  path: team
  access:
    read: [{{token: {{env: T}}, projects: ["{glob}"]}}]
    upload: [{{token: {{env: T}}, projects: ["{glob}"]}}]
"""


@pytest.mark.parametrize("glob", ["acme_*", "acme.*", "acme-*", "acme__*", "acme[_.]*"])
def test_reserved_names_and_projects_of_rules_are_spelled_as_projects_are(
    glob: str, tmp_path: Path
) -> None:
    (tmp_path / "m.yaml").write_text(MANIFESTS.format(glob=glob))
    state = read([tmp_path / "m.yaml"], Registry())
    [source] = state.repositories["team"].sources
    ownership = NameOwnership(["remote:up", "upload"], reserved=source.reserved)
    assert ownership.ruling("remote:up", "acme-app", None).owner == "upload"
    assert source.spec == {"upload": {"names": [glob]}}, "recorded as written"
    publication = state.publications["team"]
    for rules in (publication.readers, publication.uploaders):
        assert rules is not None
        assert [Grant("x", rule.projects).covers("acme-app") for rule in rules] == [True]
