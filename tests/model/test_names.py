"""One bad name must never stop all others: which names are refused, and what stands beside them."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Artifact, FileTree, Unit, name_fault
from reconciler.model.names import ALIKE, FILE_AND_FOLDER, TOO_LONG


def unit(path: str, *more: str) -> Unit:
    return Unit("file.file", path, {}, [Artifact(name, "0" * 64) for name in (path, *more)])


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("a" * 240, False),
        ("a" * 241, True),
        ("é" * 120, False),
        ("é" * 121, True),
        ("d/" * 200 + "a", False),
        (f"{'d' * 241}/a", True),
        (f"a/{'d' * 300}/b", True),
    ],
)
def test_a_segment_has_at_most_240_bytes(path: str, refused: bool) -> None:
    fault = name_fault(unit(path), "00")
    assert (fault is not None) == refused
    if fault is not None:
        assert fault.rule == TOO_LONG
        assert "240" in fault.reason


def test_a_file_beside_another_may_use_the_rest_and_a_group_is_a_name_too() -> None:
    longest = "a" * 240
    assert name_fault(unit(longest, f"{longest}.provenance"), "a") is None
    assert name_fault(unit(longest, f"{longest}.{'p' * 20}"), "a") is not None
    assert name_fault(unit("a"), "g" * 241) is not None


def faults(new: list[str], held: list[str] = [], *, folded: bool = False) -> dict[str, str]:  # noqa: B006
    tree = FileTree(new, folded=folded)
    for path in held:
        tree.meet(path)
    return {path: fault.rule for path, fault in tree.faults().items()}


@pytest.mark.parametrize(
    ("new", "held", "refused"),
    [
        (["a", "a/b", "c"], [], ["a/b"]),
        (["a/b", "a", "a/c"], [], ["a"]),
        (["a/b/c", "a/b/d", "x"], ["a"], ["a/b/c", "a/b/d"]),
        (["a", "x"], ["a/b/c"], ["a"]),
        (["a", "a/b"], ["a/z"], ["a"]),
        (["a", "a.b", "a!b"], ["a-b", "ab/c"], []),
        (["a"], ["a"], []),
    ],
)
def test_no_path_is_a_file_and_a_folder(
    new: list[str], held: list[str], refused: list[str]
) -> None:
    assert faults(new, held) == dict.fromkeys(refused, FILE_AND_FOLDER)


@pytest.mark.parametrize(
    ("new", "held", "refused"),
    [
        (["README", "readme"], [], {"readme": ALIKE}),
        (["readme"], ["README"], {"readme": ALIKE}),
        (["d/\u00e9"], ["d/e\u0301"], {"d/\u00e9": ALIKE}),
        (["\u03b1\u0345\u0301"], ["\u0391\u0301\u0399"], {"\u03b1\u0345\u0301": ALIKE}),
        (["A/x", "a/y"], [], {}),
        (["A/x"], ["a"], {"A/x": FILE_AND_FOLDER}),
    ],
)
def test_names_that_only_case_or_form_tells_apart_exclude_each_other_for_an_export(
    new: list[str], held: list[str], refused: dict[str, str]
) -> None:
    assert faults(new, held, folded=True) == refused
    assert not set(faults(new, held).values()) & {ALIKE}


def test_many_held_files_in_the_way_of_many_new_ones_are_found_in_one_pass() -> None:
    """Cost follows the number of paths: 400 million comparisons would take minutes."""
    names = [f"f{number}" for number in range(20_000)]
    assert len(faults([f"{name}/new" for name in names], names)) == len(names)


PATHS = st.lists(st.sampled_from("aAbB"), min_size=1, max_size=3).map("/".join)


@given(st.lists(PATHS, unique=True), st.booleans())
def test_what_is_let_in_always_fits_one_tree(new: list[str], folded: bool) -> None:
    """The rule, checked against the plain definition, and nothing is refused without cause."""
    refused = faults(new, folded=folded)
    held = [path for path in new if path not in refused]
    fold = str.casefold if folded else str  # ASCII names have one form
    files = [fold(path) for path in held]
    assert len(set(files)) == len(files)
    assert not any(other.startswith(f"{file}/") for file in files for other in files)
    for path in refused:
        form = fold(path)
        assert any(
            form == file or form.startswith(f"{file}/") or file.startswith(f"{form}/")
            for file in files
        )


def test_the_folders_of_deep_paths_are_not_held_each_as_a_text() -> None:
    """Kind: unbounded work from small input. They would have the square of a path's length."""
    tracemalloc.start()
    try:
        assert faults([f"{number}/{'a/' * 500}x" for number in range(40)]) == {}
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
