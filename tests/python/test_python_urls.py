"""URLs as pages write them, against the standard library."""

from __future__ import annotations

from urllib.parse import urljoin

from hypothesis import given
from hypothesis import strategies as st

from reconciler_python.reading.urls import absolute_url, fetchable_url, without_blanks

HOSTS = st.sampled_from(["http://a.example", "https://u:p@a.example:8443"])
PIECES = st.text("aZ0_.~%-+/?#;:=&@ \t\u00e9", max_size=8)
BASES = st.builds("{}{}{}".format, HOSTS, st.sampled_from(["", "/", "/a/", "/s/a/", "/?q"]), PIECES)
WRITTEN = st.builds("{}{}".format, st.sampled_from(["", "../", "../../../", "./", "/"]), PIECES)


def test_urls_of_one_folder_are_joined_once() -> None:
    assert absolute_url("http://a.example/simple/a/", "../../f/a-1.whl#sha256=0") == (
        "http://a.example/f/a-1.whl#sha256=0"
    )


@given(base=BASES, written=WRITTEN)
def test_relative_urls_are_joined_as_the_standard_library_does(base: str, written: str) -> None:
    try:
        expected = urljoin(base, written)
    except ValueError:
        return
    assert absolute_url(base, written) == expected


@given(base=BASES, written=WRITTEN)
def test_what_leads_straight_to_a_file_is_as_fetchable_as_its_absolute_url(
    base: str, written: str
) -> None:
    try:
        absolute = urljoin(base, without_blanks(written))
    except ValueError:
        return
    if written.strip():
        assert fetchable_url(base, written) == fetchable_url("", absolute)
