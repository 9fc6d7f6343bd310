"""Foreign text on one printable line, whatever it holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.redaction import (
    LONGEST,
    exception_message,
    exception_summary,
    register_secret,
    sanitize,
)

TEXTS = st.text(max_size=300)


@given(TEXTS, st.integers(min_value=1, max_value=200))
def test_a_sanitized_text_is_printable_and_ends(text: str, longest: int) -> None:
    line = sanitize(text, longest)
    assert line.isprintable()
    assert len(line) <= longest + len("...")


@given(TEXTS.filter(str.isprintable))
def test_a_printable_text_is_left_as_it_is(text: str) -> None:
    assert sanitize(text) == text


def test_what_does_not_print_is_escaped_and_what_is_too_long_is_cut() -> None:
    assert sanitize("a\x1b[2J\nb") == r"a\x1b[2J\nb"
    assert sanitize("a" * 9, 8) == "aaaaaaaa..."
    assert sanitize("a" * 8, 8) == "aaaaaaaa"


def test_a_secret_is_redacted_before_the_text_is_cut() -> None:
    register_secret("sanitize-this-secret")
    assert sanitize("a sanitize-this-secret", 12) == "a ***"
    assert exception_message(ValueError("no sanitize-this-secret")) == "no ***"


def test_an_exception_is_described_by_its_type_and_message() -> None:
    assert exception_summary(ValueError("not\na  number")) == "ValueError: not a number"
    assert exception_summary(ValueError()) == "ValueError"
    assert len(exception_summary(ValueError("x" * 3 * LONGEST))) == LONGEST + len("...")


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("hostile")


def test_an_exception_whose_message_cannot_be_read_is_described_all_the_same() -> None:
    assert exception_message(Unreadable()) == "its message cannot be read"
