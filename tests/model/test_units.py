"""Units as plugins declare them: limits at their exact value, sizes, and digests in lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import PluginFault
from reconciler.model import (
    Artifact,
    Digest,
    IdentifiedUnit,
    Unit,
    artifact_digest,
    check_unit,
    declared_size,
    identify,
    stored_unit,
)
from reconciler.model.content import MAX_NAME, MAX_SIZE
from reconciler.plan import GroupMember

SHA256 = Digest.of(b"bytes").hex


def a_unit(*sizes: int | None, key: str = "key") -> Unit:
    artifacts = [Artifact(f"file-{n}", SHA256, size) for n, size in enumerate(sizes)]
    return Unit("test.file", key, {}, artifacts)


@pytest.mark.parametrize("size", [None, 0, 1, MAX_SIZE])
def test_a_size_up_to_the_limit_is_accepted(size: int | None) -> None:
    check_unit(a_unit(size))


@pytest.mark.parametrize("size", [-1, MAX_SIZE + 1])
def test_a_size_beyond_the_limit_is_refused(size: int) -> None:
    with pytest.raises(PluginFault, match="`file-0` has a size"):
        check_unit(a_unit(size))


def test_a_name_up_to_the_limit_is_accepted_and_one_beyond_it_is_refused() -> None:
    check_unit(a_unit(key="k" * MAX_NAME))
    with pytest.raises(PluginFault, match="unusable key"):
        check_unit(a_unit(key="k" * (MAX_NAME + 1)))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((), None), ((None,), None), ((0,), 0), ((None, 3), 3), ((1, 2), 3)],
)
def test_the_declared_size_is_the_sum_of_what_is_declared(
    sizes: tuple[int | None, ...], expected: int | None
) -> None:
    assert declared_size(a_unit(*sizes)) == expected


def test_the_digest_of_an_artifact_is_that_of_its_bytes() -> None:
    assert artifact_digest(Artifact("file", SHA256)) == Digest.of(b"bytes")


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([True, False, 0, 1, "", "a", None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
ARTIFACTS = st.builds(
    Artifact,
    st.sampled_from(["a", "b"]),
    st.sampled_from([SHA256, Digest.of(b"other").hex]),
    st.sampled_from([None, 0, 1]),
    st.sampled_from(["", "https://example.org/a"]),
)
UNITS = st.builds(
    Unit,
    st.just("test.file"),
    st.sampled_from(["a", "b"]),
    st.dictionaries(st.sampled_from(["a", "b", "_a"]), VALUES, max_size=2),
    st.lists(ARTIFACTS, max_size=2, unique_by=lambda artifact: artifact.path),
)


def with_artifacts(*artifacts: Any) -> Unit:
    return Unit("test.file", "a", {}, list(artifacts))


def with_metadata(metadata: Any) -> Unit:
    return Unit("test.file", "a", metadata)


FILE = Artifact("a", SHA256, 1, "https://example.org/a")
OTHER = Artifact("b", SHA256, 1)
RECORDED = with_artifacts(FILE)


def identity(unit: Unit, recorded: GroupMember | None = None) -> IdentifiedUnit | str:
    try:
        return identify(unit, "group", recorded)
    except PluginFault as error:
        return str(error)


def check_identity(unit: Unit, other: Unit, *, known: bool) -> None:
    recorded = identify(other, "group")
    body = recorded.body if known else b""
    member = GroupMember(recorded.digest, stored_unit(recorded.body), "remote:up", body)
    assert identity(unit, member) == identity(unit)


@given(units=st.tuples(UNITS, UNITS) | UNITS.map(lambda unit: (unit, unit)), known=st.booleans())
def test_a_unit_that_may_be_recorded_has_the_identity_that_it_has_anyhow(
    units: tuple[Unit, Unit], known: bool
) -> None:
    check_identity(*units, known=known)


@pytest.mark.parametrize(
    ("unit", "other"),
    [
        (with_metadata({"a": True}), with_metadata({"a": 1})),
        (with_metadata({"a": 0}), with_metadata({"a": False})),
        (with_metadata({"a": 1.0}), with_metadata({"a": 1})),
        (with_metadata({"a": [1]}), with_metadata({"a": [True]})),
        (with_metadata({"a": (1,)}), with_metadata({"a": [1]})),
        (with_metadata({"a": {"b": 0}}), with_metadata({"a": {"b": False}})),
        (with_metadata({"a": 1, "_b": 1}), with_metadata({"a": 1})),
        (with_metadata({"a": 1}), with_metadata({"a": 1, "b": 1})),
        (with_metadata({1: 1}), with_metadata({"a": 1})),
        (with_metadata([]), with_metadata({})),
        (with_artifacts("a"), RECORDED),
        (with_artifacts(Artifact("a", SHA256, True)), RECORDED),
        (with_artifacts(Artifact("a", "", 1)), RECORDED),
        (with_artifacts(Artifact("a", SHA256, 1, "https://example.org/\n")), RECORDED),
        (with_artifacts(Artifact("a", SHA256, 1, digests={"md5": "-"})), RECORDED),
        (with_artifacts(FILE, FILE), with_artifacts(FILE, OTHER)),
        (with_artifacts(OTHER, FILE), with_artifacts(FILE, OTHER)),
    ],
)
def test_what_looks_like_a_recorded_unit_has_the_identity_or_fault_that_it_has_anyhow(
    unit: Unit, other: Unit
) -> None:
    check_identity(unit, other, known=True)
