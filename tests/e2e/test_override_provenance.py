"""What an override changed is not the manifests' doing, and the version says so."""

from __future__ import annotations

from pathlib import Path

from tests.support.mirror import Mirror, call, resource


def test_a_version_names_the_keys_that_were_overridden_and_not_their_values(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "up" / name).write_text(name)
    remote = resource("Remote", "up", "type: file\nurl: ./up/")
    site = Mirror(
        tmp_path,
        remote,
        resource("Repository", "team", "type: file\nsources: [{remote: {name: up}}]"),
    )
    site.applied("--override", "repository/team.exclude=[b.txt]")
    site.applied()
    done = call(["history", "repository/team", "-o", "json", "--home", str(site.home.root)])
    later, first = (version["provenance"] for version in done.document)
    assert first["overrides"] == ["repository/team.exclude"]
    assert "overrides" not in later
    assert "b.txt" not in str(first)
