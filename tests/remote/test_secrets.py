"""Secrets by reference: found, never shown."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import UsageFault
from reconciler.model import Auth, Secret
from reconciler.remote import SecretValue
from reconciler.remote.credentials import Credentials
from reconciler.remote.urls import display_url
from reconciler.secret_values import MOST_BYTES, fingerprint, reveal
from tests.support.remotes import remote


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pw", "pw"),
        ("pw\n", "pw"),
        ("pw\r\n", "pw"),
        ("pw\n\n", "pw\n"),
        (" pw \n", " pw "),
        ("", ""),
    ],
)
def test_a_file_loses_one_newline_at_its_end(tmp_path: Path, text: str, value: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(text.encode())
    assert reveal(Secret(file=str(file))) == value


def test_a_variable_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_HERE", "pw\n")
    assert reveal(Secret(env="SECRET_HERE")) == "pw\n"


def test_missing_references_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="`NOT_SET_ANYWHERE`"):
        reveal(Secret(env="NOT_SET_ANYWHERE"))
    with pytest.raises(UsageFault, match="nowhere"):
        reveal(Secret(file=str(tmp_path / "nowhere")))


def test_bytes_that_are_no_text_are_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"pass\xff\xfeword")
    with pytest.raises(UsageFault) as caught:
        reveal(Secret(file=str(file)))
    assert "word" not in str(caught.value)


def test_a_variable_that_is_no_text_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environb, b"SECRET_HERE", b"pass\xff\xfeword")
    with pytest.raises(UsageFault, match="`SECRET_HERE` is not UTF-8") as caught:
        reveal(Secret(env="SECRET_HERE"))
    assert "word" not in str(caught.value)


def test_a_secret_is_a_plain_file_of_bounded_size(tmp_path: Path) -> None:
    """The kind: a file that a manifest names and that hangs the run, or fills its memory."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageFault, match="no plain file"):
            reveal(Secret(file=str(path)))
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(UsageFault, match="holds more than"):
        reveal(Secret(file=str(large)))


def test_concealed_values_show_in_no_text() -> None:
    value = SecretValue("opensesame")
    for text in (
        repr(value),
        str(value),
        f"{value}",
        f"{value!r:>40}",
        repr([value]),
        repr({"a": value}),
    ):
        assert "opensesame" not in text
    assert value.value == "opensesame"
    with pytest.raises(TypeError):
        pickle.dumps(value)


def test_a_header_value_with_a_line_break_is_refused_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TWO_LINES", "opensesame\r\nX-Other: 1")
    with pytest.raises(UsageFault, match="`X-Token`") as caught:
        Credentials.of(remote(headers={"X-Token": Secret(env="TWO_LINES")}))
    assert "opensesame" not in str(caught.value)


def test_a_user_name_may_be_a_secret_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "ali")
    monkeypatch.setenv("WORD", "opens\u00e9same")
    credentials = Credentials.of(remote(auth=Auth(Secret(env="WHO"), Secret(env="WORD"))))
    assert credentials.headers["Authorization"].value == "Basic YWxpOm9wZW5zw6lzYW1l"


@given(value=st.text(), other=st.text(), key=st.binary(min_size=1))
def test_a_fingerprint_tells_changed_from_unchanged(value: str, other: str, key: bytes) -> None:
    same = fingerprint(key, value) == fingerprint(key, other)
    assert same == (value == other)
    assert len(fingerprint(key, value)) == 64


def test_a_fingerprint_needs_its_key() -> None:
    assert fingerprint(b"one", "pw") != fingerprint(b"two", "pw")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://ali:pw@example.org/x?sig=abc#part", "https://example.org/x?..."),
        ("https://ali@example.org:8443/x", "https://example.org:8443/x"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("https://ali:p@w@example.org/", "https://example.org/"),
        ("https://ali:pw@[half/x?sig=abc", "https://[half/x?..."),
    ],
)
def test_shown_urls_hold_no_credentials(url: str, text: str) -> None:
    assert display_url(url) == text


def test_shown_urls_are_printable() -> None:
    assert display_url("http://[half").isprintable()
    assert display_url("http://example.org/\x1b[31m\n").isprintable()
