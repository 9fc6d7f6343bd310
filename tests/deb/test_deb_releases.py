"""Release files: what they list, when they are too old, who signed them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from reconciler.plugin import Malformed, OptionFault
from reconciler_deb.reading.suites import unsigned_text
from reconciler_deb.releases.freshness import Freshness
from reconciler_deb.releases.release_file import parse_release
from reconciler_deb.releases.signatures import (
    binary_keys,
    check_single_message,
    judge,
    parse_status,
)
from tests.support.apt import DATE, release_text

NOW = datetime(2026, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = "CAC548B75595616B4C55AD29E3FED4913688D55B"
VALID = f"[GNUPG:] VALIDSIG {KEY} 2026-11-30 1796070546 0 4 0 22 8 01 {KEY}\n"
GOOD = f"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG {KEY[-16:]} A <a@example.org>\n{VALID}"


def release(**fields: str) -> bytes:
    return release_text({"main/binary-amd64/Packages": b"x"}, **fields)


def test_a_release_says_what_it_lists() -> None:
    parsed = parse_release(
        release_text({"main/x": b"x", "./y": b"yy"}, Date=DATE, Components="main contrib")
    )
    assert parsed.date == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert parsed.valid_until is None
    assert parsed.words("components") == ["main", "contrib"]
    assert parsed.indexes["y"].size == 2
    assert parsed.indexes["main/x"].sha256 == sha256(b"x").hexdigest()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Suite: x\nMD5Sum:\n 00 1 x\n",
        b"SHA256:\n 00 1 x\n",
        b"SHA256:\n " + b"0" * 64 + b" -1 x\n",
        b"SHA256:\n " + b"0" * 64 + b" 1 x y\n",
        b"SHA256:\n\nSuite: x\n",
    ],
)
def test_a_release_without_strong_digests_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_release(body)


def test_an_index_outside_of_the_suite_is_no_index() -> None:
    assert parse_release(release_text({"../../x": b"x"})).indexes == {}


@pytest.mark.parametrize(
    ("fields", "last", "fault"),
    [
        ({"Date": DATE}, None, ""),
        ({"Date": DATE}, datetime(2026, 1, 5, 10, tzinfo=UTC), ""),
        ({}, None, ""),
        ({"Date": DATE, "Valid-Until": "Fri, 09 Jan 2026 10:00:00 UTC"}, None, "valid until"),
        ({"Date": DATE}, datetime(2026, 1, 6, tzinfo=UTC), "older than the last one"),
        ({}, datetime(2026, 1, 6, tzinfo=UTC), "no Date"),
        ({"Date": "Mon, 05 Jan 2027 10:00:00 UTC"}, None, "not come yet"),
        ({"Date": "soon"}, None, "cannot be read"),
        ({"Date": DATE, "Valid-Until": "never"}, None, "cannot be read"),
    ],
)
def test_an_old_release_is_refused(
    fields: dict[str, str], last: datetime | None, fault: str
) -> None:
    """Kind: a mirror on the way that replays an old state, or never moves on."""
    parsed = parse_release(release(**fields))
    if not fault:
        Freshness(NOW, last).check(parsed)
        return
    with pytest.raises(Malformed, match=fault):
        Freshness(NOW, last).check(parsed)


def test_one_good_signature_counts_beside_keys_that_nobody_named() -> None:
    judge(parse_status(f"{GOOD}[GNUPG:] NEWSIG\n[GNUPG:] NO_PUBKEY 0E98404D386FA1D9\n"))


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ("", "no signature"),
        ("[GNUPG:] NO_PUBKEY 0E98404D386FA1D9\n", "`0E98404D386FA1D9`, which `keys` does not hold"),
        (f"[GNUPG:] EXPKEYSIG {KEY[-16:]} Old <o@example.org>\n{VALID}", "Old .* has expired"),
        (f"[GNUPG:] REVKEYSIG {KEY[-16:]} Old <o@example.org>\n{VALID}", "Old .* was revoked"),
        (f"{GOOD}[GNUPG:] NEWSIG\n[GNUPG:] BADSIG {KEY[-16:]} A\n", "was changed after"),
        (GOOD.replace(" 22 8 ", " 22 2 "), "can be forged"),
        (GOOD.replace("GOODSIG", "EXPSIG"), "has expired"),
        (GOOD.replace("GOODSIG", "ERRSIG"), "no signature"),
        (VALID, "no signature"),
    ],
)
def test_no_other_signature_counts(status: str, fault: str) -> None:
    """Kind: gpgv says VALIDSIG, and ends with 0, of keys that have expired or were revoked."""
    with pytest.raises(Malformed, match=fault):
        judge(parse_status(status))


def test_a_second_text_in_the_file_is_refused() -> None:
    """Kind: text beside the signed one, which gpgv puts out as well."""
    message = (
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nx\n"
        b"-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    )
    check_single_message(message)
    for body in (b"Suite: x\n" + message, message + b"Suite: x\n", message * 2, b"", b"Suite: x"):
        with pytest.raises(Malformed):
            check_single_message(body)


def test_keys_that_are_none_are_refused() -> None:
    for body in (b"", b"text", b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n"):
        with pytest.raises(OptionFault):
            binary_keys("a.asc", body)
    begin, end = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
    block = begin + b"\nVersion: 1\n\naGVs\nbG8=\n=abcd\n" + end + b"\n"
    assert binary_keys("a.asc", block * 2) == b"hellohello"
    for broken in (begin + b"\n\nab", begin + b"\n\n!!!\n" + end):
        with pytest.raises(OptionFault):
            binary_keys("a.asc", broken)


def test_the_text_within_a_signature_is_read_without_it() -> None:
    signed = (
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: x\n- -dash\n"
        b"-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    )
    assert unsigned_text(signed) == b"Suite: x\n-dash"
    assert unsigned_text(b"Suite: x\n") == b"Suite: x\n"
