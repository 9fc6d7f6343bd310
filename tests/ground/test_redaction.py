"""No revealed secret survives in a text, whatever stands around it."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import monotonic
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import UsageFault
from reconciler.model import Auth, Secret
from reconciler.redaction import SHORTEST, SecretRegister, exception_message, redact
from reconciler.remote.credentials import Credentials
from reconciler.secret_values import register_secrets, reveal
from tests.support.remotes import remote

SECRETS = st.text(st.characters(codec="utf-8"), min_size=SHORTEST, max_size=30).filter(
    lambda text: len(text.strip()) >= SHORTEST
)
AROUND = st.text(st.characters(codec="utf-8"), max_size=20)
PATIENTLY = settings(deadline=None, max_examples=50)  # every example compiles a pattern of its own
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "quoted": lambda value: quote(value, safe=""),
    "quoted as a path": quote,
    "quoted as a form": quote_plus,
    "quoted in small digits": lambda value: (
        quote(value, safe="").lower() if value.islower() else quote(value, safe="")
    ),
    "JSON": lambda value: json.dumps(value)[1:-1],
    "repr": lambda value: repr(value)[1:-1],
}


def concealing(*values: str) -> SecretRegister:
    concealment = SecretRegister()
    for value in values:
        concealment.add(value)
    return concealment


@PATIENTLY
@given(
    values=st.lists(SECRETS, min_size=1, max_size=4), pick=st.data(), before=AROUND, after=AROUND
)
@pytest.mark.parametrize("form", FORMS)
def test_no_secret_survives_in_any_form(
    form: str, values: list[str], pick: st.DataObject, before: str, after: str
) -> None:
    concealed = concealing(*values).redact(
        before + FORMS[form](pick.draw(st.sampled_from(values))) + after
    )
    for value in values:
        assert value not in concealed
        assert FORMS[form](value) not in concealed


@PATIENTLY
@given(value=SECRETS, before=st.binary(max_size=10), after=st.binary(max_size=10))
def test_no_secret_survives_within_base64(value: str, before: bytes, after: bytes) -> None:
    start, end = (
        -(-len(before) * 8 // 6),
        (len(before) + len(value.encode())) * 8 // 6,
    )  # the digits that depend on nothing but the value
    for encode in (b64encode, urlsafe_b64encode):
        text = encode(before + value.encode() + after).decode()
        concealed = concealing(value).redact(text)
        assert text[start:end] not in concealed
        assert len(concealed) < len(text)


@PATIENTLY
@given(value=SECRETS, text=AROUND)
def test_texts_without_a_secret_stay_as_they_are(value: str, text: str) -> None:
    alphabet = set(text)
    if alphabet.isdisjoint(value + "%\\+"):
        encoded = b64encode(value.encode()).decode()
        if alphabet.isdisjoint(encoded):
            assert concealing(value).redact(text) == text
    assert SecretRegister().redact(text) == text


@PATIENTLY
@given(values=st.lists(SECRETS, min_size=1, max_size=4), text=AROUND)
def test_concealing_twice_changes_nothing_more(values: list[str], text: str) -> None:
    concealment = concealing(*values)
    once = concealment.redact(text + values[0] + text)
    assert concealment.redact(once) == once


def test_the_longest_secret_goes_first() -> None:
    assert concealing("opens", "opensesame").redact("say opensesame!") == "say ***!"


def test_secrets_that_the_mask_would_make_again_are_concealed_too() -> None:
    assert "ab***cd" not in concealing("xxxx", "ab***cd").redact("abxxxxcd")
    assert "****" not in concealing("****").redact("*****")


@pytest.mark.parametrize("value", ["", "abc", "      ", " a b "[:3]])
def test_short_values_do_not_tear_words_apart(value: str) -> None:
    assert concealing(value).redact(f"abc{value}      abcdef") == f"abc{value}      abcdef"


def test_a_scheme_does_not_hide_its_token() -> None:
    assert concealing("Bearer t0kent0ken").redact("refused: t0kent0ken") == "refused: ***"


def test_each_line_of_a_key_is_a_secret() -> None:
    concealment = concealing("-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n")
    assert concealment.redact("bad line MIIEvQIBADANBg in the key") == "bad line *** in the key"


def test_values_may_be_added_from_any_thread() -> None:
    concealment = SecretRegister()

    def use(number: int) -> None:
        concealment.add(f"secret-{number:03}")
        concealment.redact("x")

    threads = [Thread(target=use, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert concealment.redact(" ".join(f"secret-{number:03}" for number in range(50))) == " ".join(
        ["***"] * 50
    )


# What registers itself


def test_what_was_revealed_is_concealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_SECRET", "first-of-the-revealed")
    (tmp_path / "secret").write_text("second-of-the-revealed\n")
    text = "it was first-of-the-revealed, then second-of-the-revealed"
    assert redact(text) == text
    reveal(Secret(env="A_SECRET"))
    reveal(Secret(file=str(tmp_path / "secret")))
    assert redact(text) == "it was ***, then ***"


def test_the_basic_form_of_credentials_is_concealed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "third-of-the-revealed")
    header = (
        Credentials.of(remote(auth=Auth("ali", Secret(env="A_SECRET"))))
        .headers["Authorization"]
        .value
    )
    assert redact(f"sent `{header}`") == "sent `Basic ***`"


def test_references_may_be_made_known_unused_and_may_lead_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("A_SECRET", "fourth-of-the-revealed")
    register_secrets(
        [
            Secret(env="NOT_SET_ANYWHERE"),
            Secret(file=str(tmp_path / "nowhere")),
            Secret(env="A_SECRET"),
        ]
    )
    assert redact("fourth-of-the-revealed") == "***"
    with pytest.raises(UsageFault):
        reveal(Secret(env="NOT_SET_ANYWHERE"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://a.example/f?sig=x: line 3", "https://a.example/f?...: line 3"),
        (
            "`https://robot:key@a.example/f?sig=x&y=z` answered",
            "`https://a.example/f?...` answered",
        ),
        ("at http://a.example/f?..., again", "at http://a.example/f?..., again"),
        ("`https://robot:k@y@a.example/f` answered", "`https://a.example/f` answered"),
        ("is it https://a.example/f? yes", "is it https://a.example/f? yes"),
        ("why? because", "why? because"),
        ("mail a@b.example", "mail a@b.example"),
    ],
)
def test_messages_show_no_query_and_no_user_of_a_url(text: str, shown: str) -> None:
    """Kind: a signature that is recorded with the message of a failure."""
    assert exception_message(ValueError(text)) == shown


def test_a_long_query_of_punctuation_is_read_once() -> None:
    """Kind: a pattern whose time grows with the square of what upstream writes."""
    query = ":" * 16_000
    begun = monotonic()
    exception_message(ValueError(f"https://a.example/f?{query}x"))
    assert monotonic() - begun < 2  # seconds; it was seven
