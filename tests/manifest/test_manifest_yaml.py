"""YAML: places, types, and hostile texts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Fault, ManifestFaults, Origin
from reconciler.manifest import document, read
from reconciler.manifest.document import MAX_DEPTH, Document, ManifestText, Unreadable, documents
from reconciler.manifest.scalars import scalar, shown
from tests.manifest.conftest import Reading, Refusal
from tests.support.quotes import registry

FILTER = "apiVersion: reconciler/v1\nkind: Filter\nmetadata: {name: %s}\nspec:\n  type: quotes\n"


def parsed(text: str) -> tuple[list[Document], list[Fault]]:
    faults: list[Fault] = []
    return list(documents(ManifestText("m.yaml", "/", text), faults)), faults


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "012",
        "0x1F",
        "0o17",
        "1_000",
        "1:30",
        "2026-01-01",
        "1.2.3",
        ".inf",
        ".nan",
        "1e999",
        "nan",
        "+",
    ],
)
def test_what_readers_of_yaml_disagree_about_stays_a_text(text: str) -> None:
    assert scalar(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_the_core_schema_of_yaml_1_2_decides_the_rest(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_a_quoted_scalar_is_a_text_whatever_it_looks_like() -> None:
    read_documents, faults = parsed("a: '12'\nb: \"true\"\nc: !!str 1.10\nd: |\n  3\n")
    assert read_documents[0].value == {"a": "12", "b": "true", "c": "1.10", "d": "3\n"}
    assert faults == []


def test_the_place_of_every_key_and_value_can_be_asked_for_even_when_the_tree_is_gone() -> None:
    read_documents, _ = parsed("first: 1\n---\na:\n  - {b: 2, c: [x, yy]}\n")
    for _ in range(2):
        assert read_documents[1].place(("a", 0, "c", 1)) == Origin("m.yaml", 4, 19)
        assert read_documents[1].place(("a", 0, "c"), key=True) == Origin("m.yaml", 4, 12)
        assert read_documents[1].place(("a", 7, "nothing")) == Origin("m.yaml", 4, 3)
        assert read_documents[1].place() == Origin("m.yaml", 3, 1)
        read_documents[1].drop()


def test_merge_keys_bring_in_what_is_not_written_and_their_places_are_known() -> None:
    read_documents, faults = parsed(
        "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nuse:\n  <<: [*b, *m]\n  x: 9\n"
    )
    assert faults == []
    assert read_documents[0].value["use"] == {"x": 9, "y": 2, "z": 4}
    assert read_documents[0].place(("use", "z")) == Origin("m.yaml", 2, 20)


def test_the_first_of_two_equal_keys_is_named() -> None:
    _, faults = parsed("a: 1\nb: 2\na: 3\n")
    assert [str(fault) for fault in faults] == [
        "m.yaml:3:1: the key `a` is written twice\n  hint: first at line 1: keep one of them"
    ]


@pytest.mark.parametrize(
    "text", ["1: a", "true: a", "~: a", "1.5: a", "? [x, y]\n: a", "? {x: y}\n: a"]
)
def test_keys_are_texts(text: str) -> None:
    _, faults = parsed(text)
    assert [fault.message for fault in faults] == ["a key must be a text"]


@pytest.mark.parametrize(
    "tag", ["!!python/object:os.system", "!!binary", "!!timestamp", "!!set", "!Ref", "!!int"]
)
def test_tags_are_refused(tag: str) -> None:
    _, faults = parsed(f"a: {tag} x\n")
    assert faults == [
        Fault(
            Origin("m.yaml", 1, 4),
            "tags are not allowed here",
            "write the value without the word that begins with `!`",
        )
    ]


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    with pytest.raises(
        Unreadable, match="more than 1,000,000 values in one file, aliases expanded"
    ):
        parsed(bomb)


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a {b: *a}\n", "&a [[*a]]\n"])
def test_an_alias_that_contains_itself_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match=f"nested more than {MAX_DEPTH} levels deep"):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "{a: " * 50_000,
        "- " * 50_000 + "x",
        "\n".join(" " * n + "a:" for n in range(3_000)),
        "? " * 50_000,
    ],
)
def test_depth_crashes_neither_the_parser_nor_python(text: str) -> None:
    with pytest.raises(Unreadable, match=f"nested more than {MAX_DEPTH} levels deep"):
        parsed(text)


def test_a_chain_of_aliases_is_as_deep_as_what_it_expands_to() -> None:
    chain = "a0: &a0 x\n" + "".join(
        f"a{n}: &a{n} [[[[[[[[[*a{n - 1}]]]]]]]]]\n" for n in range(1, 5_000)
    )
    with pytest.raises(Unreadable, match="levels deep"):
        parsed(chain)


def test_values_are_counted_while_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_VALUES", 1_000)
    with pytest.raises(Unreadable, match=r"m\.yaml:1:1: more than 1,000 values in one file"):
        parsed("[" + "a," * 1_000 + "a: : broken")


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("a: [1\nb: 2", "2:2", "not valid YAML: ", None),
        (
            "deny: [*-nightly]",
            "1:8",
            "not valid YAML: found undefined alias",
            'quote a text that begins with `*`: `"*"`, `"*-nightly"`',
        ),
        (
            "a: @b",
            "1:4",
            "not valid YAML: ",
            "indent with spaces, not tabs; quote a text that begins with `@`, `%` or a backtick",
        ),
        (
            "a:\n\t- b",
            "2:1",
            "not valid YAML: ",
            "indent with spaces, not tabs; quote a text that begins with `@`, `%` or a backtick",
        ),
        (
            "a: b: c",
            "1:5",
            "not valid YAML: ",
            "quote a text that holds `: `; or check the indentation of this line",
        ),
        (
            "é: 1\nb: \x00",
            "2:4",
            "not a text file: it holds a control character (U+0000)",
            "is this really a manifest?",
        ),
        ("%YAML 3.0\n---\na: 1", "1:1", "not valid YAML: ", None),
    ],
)
def test_broken_yaml_has_a_place(
    refusal: Refusal, text: str, place: str, message: str, hint: str | None
) -> None:
    (fault,) = refusal(text)
    assert str(fault.origin) == f"m.yaml:{place}"
    assert fault.message.startswith(message)
    assert fault.hint == hint


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"a: 1\nb: \xff\n", "2:4"),
        ("a: ü".encode("utf-16"), "1:1"),
        (b"\x89PNG\r\n\x1a\n", "1:1"),
        ("é: é".encode() + b"\xc3", "1:5"),
    ],
)
def test_bytes_that_are_not_utf_8_have_a_place(refusal: Refusal, body: bytes, place: str) -> None:
    (fault,) = refusal(body)
    assert str(fault.origin) == f"m.yaml:{place}"
    assert fault.message.startswith("not UTF-8: the byte 0x")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"\xef\xbb\xbf" + (FILTER % "a").encode())
    assert list(read([tmp_path / "m.yaml"], registry()).filters) == ["a"]


def test_documents_before_a_syntax_error_are_checked_but_not_their_references(
    refusal: Refusal,
) -> None:
    repository = (
        "apiVersion: reconciler/v1\nkind: Repository\nmetadata: {name: r}\nspec: {type: quotes,"
        " filters: [later], colour: red}\n---\na: [\n"
    )
    assert [fault.message.split(":")[0] for fault in refusal(repository)] == [
        "unknown key `colour` in `spec`",
        "not valid YAML",
    ]


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing\n", "---\n---\n", "---\n...\n", "~\n", "\ufeff"]
)
def test_empty_files_and_empty_documents_are_valid(reading: Reading, text: str) -> None:
    assert list(reading(text)) == []


@given(st.text(max_size=200))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with suppress(Unreadable):
        read_documents, faults = parsed(text)
        assert all(fault.origin.line >= 1 for fault in faults)
        assert all(document.place().line >= 1 for document in read_documents)


@given(st.binary(max_size=200))
def test_any_bytes_on_standard_input_are_understood_or_refused(body: bytes) -> None:
    with suppress(ManifestFaults):
        assert list(read(["-"], registry(), stdin=lambda: body)) == []


@given(st.text(max_size=300))
def test_a_shown_text_is_short_and_printable(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 800
