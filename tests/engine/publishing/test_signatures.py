"""A text is signed once with a key; another key, or other configuration, is another publication.

The kind: configuration that stands outside of the manifest, whose change nothing noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.plan import Action
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository
from tests.support.scripted_plugins import NOW


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        (site.folder / "key").write_text("first key\n")
        (site.folder / "note").write_text("read me")
        site.declare(site.remote(), repository(), publication(more="key: {file: key}, note: note"))
        site.says("g", site.file("a"))
        site.applied()
        yield site


def shown(site: Rehearsal, path: str = "index.sig") -> str:
    [answer] = site.get(f"/team/{path}")
    assert answer.status == 200
    return answer.body.decode()


def test_a_signature_is_made_at_the_moment_of_the_version_and_once(site: Rehearsal) -> None:
    signature = shown(site)
    assert NOW.isoformat() in signature
    site.applied()
    assert shown(site) == signature
    site.says("g", site.file("a"), site.file("b"))
    site.applied()
    assert shown(site) == signature, "the list of groups is the same text"


def test_a_publication_that_is_rendered_anew_signs_what_is_new(site: Rehearsal) -> None:
    signature = shown(site)
    (site.folder / "note").write_text("read me again")
    site.applied()
    assert shown(site, "note") == "read me again"
    assert shown(site) == signature
    site.says("h", site.file("b"))
    site.applied()
    assert shown(site) != signature


def test_a_rotated_key_is_a_planned_change(site: Rehearsal) -> None:
    signature, before = shown(site), site.digest()
    (site.folder / "key").write_text("second key\n")
    text = site.text()
    assert "key: secret changed" in text
    assert "second key" not in text
    [change] = [change for change in site.plan().changes if str(change.ref) == "publication/team"]
    assert change.action is Action.UPDATE
    site.applied()
    assert shown(site).split()[0] != signature.split()[0]
    assert site.digest() == before, "the version is the same"
    assert site.settled()


def test_the_content_of_a_file_counts_as_configuration(site: Rehearsal) -> None:
    (site.folder / "note").write_text("changed")
    assert not site.settled()
    site.applied()
    assert site.settled()


def test_a_key_that_cannot_be_read_changes_nothing_until_something_is_signed(
    site: Rehearsal,
) -> None:
    signature = shown(site)
    (site.folder / "key").unlink()
    assert site.settled()
    site.says("h", site.file("b"))
    failure = site.failed("publication/team")
    assert "the secret file" in failure
    assert "cannot be read" in failure
    assert shown(site) == signature


def test_a_key_is_found_in_no_row_and_no_page(site: Rehearsal) -> None:
    home = site.folder / "home"
    for file in home.rglob("*"):
        assert not file.is_file() or b"first key" not in file.read_bytes(), file
