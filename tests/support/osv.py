"""OSV dumps and the rules of a filter that reads them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from reconciler_python.evidence.advisories import OsvRules, advisory_reason

HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"


def record(
    id: str,
    project: str = "acme",
    *,
    events: list[dict[str, str]] | None = None,
    kind: str = "ECOSYSTEM",
    **keys: Any,
) -> dict[str, Any]:
    """Return an OSV record about a project; `versions` and `ranges` are those of the project."""
    affected: dict[str, Any] = {"package": {"ecosystem": "PyPI", "name": project}}
    if events is not None:
        affected["ranges"] = [{"type": kind, "events": events}]
    for name in ("versions", "ranges"):
        if name in keys:
            affected[name] = keys.pop(name)
    return {
        "schema_version": "1.7.3",
        "id": id,
        "modified": "2026-01-01T00:00:00Z",
        "affected": [affected],
        **keys,
    }


def zipped(path: Path, *records: dict[str, Any] | bytes) -> Path:
    """Write a dump of these records, or of raw bytes, as `0.json` and so on."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(records):
            archive.writestr(
                f"{number}.json", content if isinstance(content, bytes) else json.dumps(content)
            )
    return path


def rules(path: Path, *, recorded: bool = False, **keys: Any) -> OsvRules:
    """Return the rules of `osv:` in a filter beside the dump."""
    return OsvRules.model_validate_json(
        json.dumps({"path": path.name, **keys}),
        context={"folder": str(path.parent), "recorded": recorded},
    )


def reasons(rules: OsvRules, *versions: str, project: str = "acme") -> list[str | None]:
    """Return why each version is refused, None for those that are not."""
    return [advisory_reason(project, version, rules) for version in versions]
