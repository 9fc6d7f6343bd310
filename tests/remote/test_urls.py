"""URLs that plugins ask for, against the standard library."""

from __future__ import annotations

from urllib.parse import urljoin

from hypothesis import given
from hypothesis import strategies as st

from reconciler.remote import joined_url

BASES = st.builds(
    "{}{}".format,
    st.sampled_from(["http://a.example", "https://u@a.example:8443", "file://", "odd:", ""]),
    st.sampled_from(["", "/", "/simple/", "/simple/a", "/a/../b/", "/a/?q#f", "//a/;p/./"]),
)


@given(base=BASES, url=st.text("aZ0_.-/?:", max_size=5))
def test_urls_are_joined_as_the_standard_library_does(base: str, url: str) -> None:
    assert joined_url(base, url) == urljoin(base, url)
