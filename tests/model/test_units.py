"""Units as plugins declare them: limits at their exact value, sizes, and digests in lines."""

from __future__ import annotations

import pytest

from reconciler.errors import PluginFault
from reconciler.model import Artifact, Digest, Unit, artifact_digest, check_unit, declared_size
from reconciler.model.content import MAX_NAME, MAX_SIZE

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
