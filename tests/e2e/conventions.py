"""Manifests of the plugin `notes` for the tests of conventions."""

from __future__ import annotations

from tests.support.mirror import resource
from tests.support.outside import Desk

UP = resource("Remote", "up", "type: notes\nurl: https://notes.example.org/")
GUARD = "guard: {maxRemovals: 100%}"


def repository(
    name: str = "team", keys: str = "groups: {a: [one], b: [two]}", *, more: str = ""
) -> str:
    """`keys`: of the one source, whose remote nobody asks."""
    return resource(
        "Repository",
        name,
        f"type: notes\nsources: [{{remote: {{name: up, {keys}}}}}]\n{GUARD}\n{more}",
    )


def publication(name: str = "team", *, of: str = "team", more: str = "") -> str:
    return resource("Publication", name, f"repository: {of}\npath: {name}\n{more}")


def version(desk: Desk, name: str = "team") -> int:
    number: int = desk.get("repository", name)["status"]["latestVersion"]["number"]
    return number
