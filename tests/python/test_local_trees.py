"""Trees on disk: pages with relative links, links to a server, hashed folders, no pages at all.

They are laid out as bandersnatch, pypiserver and devpi lay theirs out; a tree that bandersnatch
itself made is in `tests/e2e/test_rows_arriving.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler_python.reading.urls import fetchable_url
from tests.support.mirror import Mirror, remote, repository
from tests.support.wheels import Built, build_sdist, build_wheel

FOO, SDIST, BAR = build_wheel("foo", "1.0"), build_sdist("foo", "2.0"), build_wheel("bar", "1.0")


def put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def html(title: str, *links: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head>{''.join(links)}</html>"


def link(built: Built, prefix: str) -> str:
    url = f"{prefix}/packages/aa/{built.filename}#sha256={built.sha256}"
    return f'<a href="{url}">{built.filename}</a><br/>'


def tree(web: Path, *, prefix: str = "../..", hashed: bool = False) -> None:
    """Write an HTML tree of two projects: files in `packages`, pages in `simple`."""
    put(web / "simple/index.html", html("Simple Index", '<a href="foo/">foo</a> <a>bar</a>'))
    for name, files in {"foo": [FOO, SDIST], "bar": [BAR]}.items():
        folder = web / "simple" / (f"{name[0]}/{name}" if hashed else name)
        put(folder / "index.html", html(f"Links for {name}", *(link(f, prefix) for f in files)))
        for built in files:
            put(web / "packages/aa" / built.filename, built.content)


def mirror(folder: Path, url: str, source: str = "name: up") -> Mirror:
    return Mirror(folder, remote(url), repository(sources=[source]))


ALL = [BAR.filename, FOO.filename, SDIST.filename]


@pytest.mark.parametrize("prefix", ["../..", "https://files.example.org"])
@pytest.mark.parametrize("hashed", [False, True])
def test_links_of_a_tree_lead_into_it_wherever_they_would_be_served(
    prefix: str, hashed: bool, tmp_path: Path
) -> None:
    tree(tmp_path / "pypi/web", prefix=prefix, hashed=hashed)
    site = mirror(tmp_path, "./pypi/")
    site.applied()
    assert site.filenames() == ALL
    assert not site.pending()


def test_a_tree_is_selected_from_as_an_index_is(tmp_path: Path) -> None:
    tree(tmp_path / "web")
    site = mirror(tmp_path, "./web/", "name: up, include: ['foo<2', missing]")
    assert "has no page of `missing`" in site.applied()
    assert site.filenames() == [FOO.filename]


def test_json_pages_say_more_and_are_taken_before_html(tmp_path: Path) -> None:
    tree(tmp_path)
    listed = {"filename": BAR.filename, "url": f"../../packages/aa/{BAR.filename}"}
    file = {**listed, "hashes": {"sha256": BAR.sha256}, "yanked": "broken"}
    page = {"meta": {"api-version": "1.1"}, "name": "bar", "files": [file]}
    put(tmp_path / "simple/bar/index.v1_json", json.dumps(page))
    site = mirror(tmp_path, f"{tmp_path}/", "name: up, include: [bar, foo], filter: {yanked: drop}")
    site.applied()
    assert site.filenames() == [FOO.filename, SDIST.filename]


def test_what_lies_outside_of_the_remote_is_not_read(tmp_path: Path) -> None:
    tree(tmp_path / "web", prefix="../../../other")
    put(tmp_path / "other/packages/aa" / FOO.filename, FOO.content)
    site = mirror(tmp_path, "./web/", "name: up, include: ['foo==1.0']")
    done = site.apply()
    assert done.code == 1
    assert "lies outside" in done.out


def test_a_folder_of_distributions_needs_no_pages(tmp_path: Path) -> None:
    """As pypiserver's, at any depth; each file is measured."""
    put(tmp_path / "pk" / FOO.filename, FOO.content)
    put(tmp_path / "pk/team/foo/2.0" / SDIST.filename, SDIST.content)  # as devpi exports
    put(tmp_path / "pk/other" / FOO.filename, FOO.content)
    put(tmp_path / "pk/README.txt", "hello")
    egg = "my-lib-2.0-1.0-py2.7.egg"
    put(tmp_path / "pk" / egg, b"egg")
    site = mirror(tmp_path, "./pk/")
    site.applied()
    assert site.filenames() == [FOO.filename, SDIST.filename, egg]
    put(tmp_path / "pk/new" / BAR.filename, BAR.content)
    (tmp_path / "pk" / egg).unlink()
    changes = site.changes()
    assert [entry["key"] for entry in changes["added"]] == [BAR.filename]
    assert [entry["key"] for entry in changes["removed"]] == [egg]


def test_a_folder_is_selected_from_by_name_and_by_glob(tmp_path: Path) -> None:
    for built in (FOO, SDIST, BAR):
        put(tmp_path / "pk" / built.filename, built.content)
    site = mirror(tmp_path, "./pk/", "name: up, include: ['foo>=2', 'b*', missing]")
    assert "holds no distribution of `missing`" in site.applied()
    assert site.filenames() == [BAR.filename, SDIST.filename]


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_folder_and_a_missing_one_are_errors_and_no_absence(
    there: bool, tmp_path: Path
) -> None:
    put(tmp_path / "pk" / FOO.filename, FOO.content)
    site = mirror(tmp_path, "./pk/")
    site.applied()
    os.rename(tmp_path / "pk", tmp_path / "gone")
    if there:
        (tmp_path / "pk").mkdir()
    assert site.apply().code == 1
    assert site.filenames() == [FOO.filename]


def test_only_a_page_on_disk_leads_to_files_on_disk() -> None:
    page, other = "file:///srv/web/simple/foo/index.html", "https://index.example.org/simple/foo/"
    assert fetchable_url(page, "../../packages/a b.whl#x") == "file:///srv/web/packages/a%20b.whl"
    for url in ("https://a/b.whl", "//host/b.whl", "../b?c.whl", "javascript:x", "a\\b.whl"):
        assert fetchable_url(page, url) is None
    assert fetchable_url(other, "file:///srv/web/packages/a.whl") is None
