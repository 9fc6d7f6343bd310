"""Pages that are not as they should be, read as browsers and installers read them."""

from __future__ import annotations

import json

import pytest

from reconciler.plugin import Malformed
from reconciler_python.reading.media_types import read_list, read_project
from reconciler_python.reading.units import project_units
from reconciler_python.reading.urls import fetchable_url
from tests.support.conduits import BASE, page

JSON = "application/vnd.pypi.simple.v1+json"
SHA = "a" * 64
FOO = f"{BASE}foo/"
GOOD = {"filename": "foo-2.0.tar.gz", "url": "foo-2.0.tar.gz", "hashes": {"sha256": SHA}}


def units(body: str, media_type: str = JSON) -> tuple[list[str], dict[str, str]]:
    """Return the keys of units, and the refusals."""
    refused: dict[str, str] = {}
    read = read_project(page(body, media_type, url=FOO))
    accepted = project_units("foo", read, FOO, refuse=refused.__setitem__)
    return [unit.key for unit in accepted], refused


@pytest.mark.parametrize(
    "markup",
    [
        "<!DOCTYPE html><html><head><title>Links for foo</title><body><a href='{}'>foo</a>",
        "<!doctype html><html><head><title>Links for foo</title><p><a href='{}'>foo",
        "<!doctype html><title>Links for foo</title><ul><li><a href='{}'>foo</a><li>more",
    ],
)
def test_end_tags_are_optional_as_for_browsers(markup: str) -> None:
    body = markup.format(f"foo-1.0-py3-none-any.whl#sha256={SHA}")
    assert units(body, "text/html") == (["foo-1.0-py3-none-any.whl"], {})


def test_a_list_without_end_tags_is_a_list() -> None:
    body = "<!DOCTYPE html><html><head><title>Simple index</title><body><a href='/a/'>a</a><p>b"
    assert [item.name for item in read_list(page(body, "text/html", url=BASE))] == ["a"]


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("a b/foo.whl", f"{FOO}a%20b/foo.whl"),
        ("  https://f.example.org/a b?c d ", "https://f.example.org/a%20b?c%20d"),
        ("https://f.example.org/a\u3000b", "https://f.example.org/a%E3%80%80b"),
        ("https://f.example.org/a%20b", "https://f.example.org/a%20b"),
        ("https://f example.org/a", None),
        ("https://f.example.org/a\x1bb", None),
        ("https://f.example.org/a\n\t b", "https://f.example.org/a%20b"),
        ("a\r\n.whl", f"{FOO}a.whl"),
    ],
)
def test_blanks_in_urls_are_percent_encoded_as_browsers_do(written: str, url: str | None) -> None:
    assert fetchable_url(FOO, written) == url
    link = f"<a href='{written.strip()}#sha256={SHA}'>foo-1.0.tar.gz</a>"
    files = read_project(page(link, "text/html", url=FOO)).files
    assert [fetchable_url(FOO, file.url) for file in files] == [url]


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (None, "(no name)"),
        (3, "(no name)"),
        ([], "(no name)"),
        ({}, "(no name)"),
        ({"filename": 1}, "(no name)"),
        ({"url": "https://f.example.org/x.whl?sign=1"}, "x.whl"),
        ({"filename": "foo-3.0.tar.gz", "url": None}, "foo-3.0.tar.gz"),
    ],
)
def test_one_malformed_entry_is_refused_by_name_and_the_rest_is_read(
    bad: object, name: str
) -> None:
    body = {"meta": {"api-version": "1.4"}, "name": "foo", "files": [bad, GOOD]}
    keys, refused = units(json.dumps(body))
    assert keys == ["foo-2.0.tar.gz"]
    assert list(refused) == [name]


def test_a_page_of_which_no_entry_can_be_read_is_no_absence_of_files() -> None:
    with pytest.raises(Malformed, match="none of its files can be read"):
        units(json.dumps({"files": [None, {"filename": "foo-1.0.tar.gz"}]}))
