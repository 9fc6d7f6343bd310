"""Control data: paragraphs, versions in dpkg's order, relations."""

from __future__ import annotations

import subprocess
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.plugin import Malformed
from reconciler_deb.control.paragraphs import (
    first_field,
    paragraph_text,
    read_fields,
    replace_field,
    split_paragraphs,
)
from reconciler_deb.control.relations import Relation, parse_relation, parse_relations, provided
from reconciler_deb.control.versions import is_version, satisfies, version_key
from tests.support.apt import tools

# In dpkg's order, each older than the next (deb-version(7), and bugs of other implementations).
ORDERED = [
    "0~~",
    "0~~a",
    "0~",
    "0",
    "0+b1",
    "1.0~rc1-1",
    "1.0~rc1-1+b1",
    "1.0-0.1",
    "1.0-1~bpo12+1",
    "1.0-1",
    "1.0-1+deb12u1",
    "1.0a-1",
    "1.0a1",
    "1.0+dfsg",
    "1.0.1",
    "1.0.1-1-1",
    "1.2",
    "1.10",
    "1:0.1",
    "1:1:1-1",
    "2:0~",
]
VERSIONS = st.from_regex(r"[0-9][A-Za-z0-9.+~]{0,6}(-[A-Za-z0-9.+~]{1,3})?", fullmatch=True)


@pytest.mark.parametrize(("older", "newer"), list(pairwise(ORDERED)))
def test_versions_have_the_order_of_the_policy(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)
    assert satisfies(older, "<<", newer)
    assert satisfies(newer, ">=", older)


def test_dpkg_orders_them_alike() -> None:
    tools("dpkg")
    lines = [
        f"dpkg --compare-versions '{a}' lt '{b}' || echo '{a} {b}'" for a, b in pairwise(ORDERED)
    ]
    script = "\n".join([*lines, "true"])
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""


@pytest.mark.parametrize(("version", "other"), [("1.0", "1.0-0"), ("0:1", "1"), ("1.00", "1.0")])
def test_versions_may_be_equal_and_written_otherwise(version: str, other: str) -> None:
    assert version_key(version) == version_key(other)


@settings(max_examples=30)
@given(st.lists(VERSIONS, min_size=3, max_size=4))
def test_the_order_is_one(versions: list[str]) -> None:
    ordered = sorted(versions, key=version_key)
    assert all(version_key(a) <= version_key(b) for a, b in combinations(ordered, 2))


@pytest.mark.parametrize("text", ["", "1 0", "a:1", "1:2_3", "-1", "1.0/..", "9" * 300, "1:"])
def test_what_is_no_version_is_refused(text: str) -> None:
    assert not is_version(text)
    with pytest.raises(Malformed):
        version_key(text)


def test_paragraphs_are_split_and_kept_as_they_are() -> None:
    body = b"\nPackage: a\nDescription: x\n .\n more\n\n\n\nPackage: b\n"
    assert list(split_paragraphs(body)) == [
        b"Package: a\nDescription: x\n .\n more",
        b"Package: b",
    ]


def test_a_field_is_found_wherever_it_stands_and_however_it_is_spelled() -> None:
    assert first_field(b"Package: a\nVersion: 1", b"Package") == b"a"
    assert first_field(b"Version: 1\npackage:a", b"Package") == b"a"
    assert first_field(b"Version: 1\nX-Package: a", b"Package") == b""


def test_fields_of_several_lines_keep_their_order() -> None:
    fields = read_fields("Package: a\nChecksums-Sha256:\n aa 1 x\n bb 2 y\nEmpty:")
    assert fields == {"package": "a", "checksums-sha256": "\naa 1 x\nbb 2 y", "empty": ""}


@pytest.mark.parametrize("text", [" x", "Package: a\nPackage: b", "Package: a\npackage: b", "x y"])
def test_a_paragraph_that_readers_would_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read_fields(text)


@pytest.mark.parametrize("body", [b"a: b\n \nc: d", b"a: b\r\nc: d", b"a: \0", b"a: \xff"])
def test_a_paragraph_that_could_hold_another_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_fields(paragraph_text(body))


def test_one_field_is_replaced_and_everything_else_stays() -> None:
    text = "Package: a\nFilename: pool/a.deb\nDescription: b\n Filename: c"
    assert replace_field(text, "Filename", r"p/\1.deb") == text.replace("pool/a.deb", r"p/\1.deb")


def test_relations_are_read_as_the_policy_writes_them() -> None:
    assert parse_relations("libc6 (>= 2.36), mta | postfix:any [amd64 !x] <!nocheck>,\n x(=1)") == [
        [Relation("libc6", ">=", "2.36")],
        [Relation("mta"), Relation("postfix", architectures=("amd64", "!x"))],
        [Relation("x", "=", "1")],
    ]
    assert parse_relations("") == []
    assert provided("mta (= 1.2), ???, b") == [Relation("mta", "=", "1.2"), Relation("b")]


@pytest.mark.parametrize("text", ["", "a b", "a (1)", "a (>= x y)", "a (>= ¹)", "(>= 1)"])
def test_what_is_no_relation_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_relation(text)


def test_a_relation_says_which_versions_and_architectures_it_means() -> None:
    relation = parse_relation("a (>= 1.2~)")
    assert relation.allows("1.2~rc1")
    assert not relation.allows("1.1")
    assert parse_relation("a [!armel]").concerns("amd64")
    assert not parse_relation("a [!armel]").concerns("armel")
    assert not parse_relation("a [armel]").concerns("amd64")
