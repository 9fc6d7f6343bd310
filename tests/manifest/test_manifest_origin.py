"""Keys that say which hosts may answer for a remote, and where its connections may lead."""

from __future__ import annotations

import pytest

from reconciler.model import Egress
from tests.manifest.conftest import Reading, Refusal, manifest


@pytest.mark.parametrize(
    ("written", "redirects"),
    [
        ("same-origin", "same-origin"),
        ("any", "any"),
        ("[files.example.org]", ("files.example.org",)),
        (
            "[Files.Example.org, 'cdn.example.org:8443']",
            ("files.example.org", "cdn.example.org:8443"),
        ),
        ("['[2001:db8::1]:8443', '10.0.0.1']", ("[2001:db8::1]:8443", "10.0.0.1")),
    ],
)
def test_redirects(reading: Reading, written: str, redirects: object) -> None:
    text = manifest("Remote", f"{{type: quotes, index: famous, redirects: {written}}}")
    assert reading(text).remotes["it"].redirects == redirects


@pytest.mark.parametrize(
    "written",
    [
        "",
        "''",
        "none",
        "[]",
        "files.example.org",
        "true",
        "['https://files.example.org']",
        "['*.example.org']",
        "['a b']",
        "[1]",
        "['a/b']",
        "['a:b']",
        "['']",
        "{a: b}",
    ],
)
def test_no_other_redirects_will_do(refusal: Refusal, written: str) -> None:
    """Kind: an emptied list, and a value that reads as a wider one."""
    text = manifest("Remote", f"{{type: quotes, index: famous, redirects: {written}}}")
    [fault] = refusal(text)
    assert fault.message.startswith("`spec.redirects")
    assert fault.hint


def test_egress(reading: Reading) -> None:
    egress = "{allow: [127.0.0.0/8, 'fe80::/10'], deny: [10.0.0.0/8, 192.168.1.7]}"
    remote = reading(
        manifest("Remote", f"{{type: quotes, index: famous, egress: {egress}}}")
    ).remotes["it"]
    assert remote.egress == Egress(("127.0.0.0/8", "fe80::/10"), ("10.0.0.0/8", "192.168.1.7/32"))


@pytest.mark.parametrize(
    "written",
    [
        "{allow: []}",
        "{deny: []}",
        "{deny: }",
        "{allow: [10.1.2.3/8]}",
        "{deny: [example.org]}",
        "{deny: [10.0.0.0/33]}",
        "{deny: [1]}",
        "{only: [10.0.0.0/8]}",
    ],
)
def test_no_other_egress_will_do(refusal: Refusal, written: str) -> None:
    text = manifest("Remote", f"{{type: quotes, index: famous, egress: {written}}}")
    [fault] = refusal(text)
    assert fault.message.startswith("`spec.egress.") or "`only`" in fault.message
