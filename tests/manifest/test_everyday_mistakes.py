"""Mistakes of every day in a manifest: each has a hint that tells what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.conftest import Refusal
from tests.support.mirror import call

HEAD = """\
apiVersion: reconciler/v1
kind: Repository
metadata: {name: r}
spec:
  type: quotes
"""


@pytest.mark.parametrize(
    "line", ["filters: *", "filters: [*]", "filters: [*-old]", "filters:\n  - *-old", "a: [b, *]"]
)
def test_an_unquoted_asterisk(refusal: Refusal, line: str) -> None:
    """Kind: YAML's own word for a mistake tells its author nothing."""
    (fault,) = refusal(f"{HEAD}  {line}\n")
    assert fault.hint == 'quote a text that begins with `*`: `"*"`, `"*-nightly"`'


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ("   filters: [a]\n", "check the indentation"),
        (" filters: [a]\n", "begins at line 1, column 1"),
        ("  sources:\n  - upload: {}\n - upload: {}\n", "begins at line 1, column 1"),
        ("  sync:\n      mode: mirror\n     other: 1\n", "begins at line 5, column 3"),
        ("\tfilters: [a]\n", "indent with spaces, not tabs"),
        ("  sync:\n  mode: mirror\n", "indented further"),
    ],
)
def test_bad_indentation(refusal: Refusal, lines: str, hint: str) -> None:
    assert any(hint in (fault.hint or "") for fault in refusal(HEAD + lines))


def test_a_merge_that_was_not_finished(refusal: Refusal) -> None:
    text = f"{HEAD}<<<<<<< HEAD\n  filters: [a]\n=======\n  filters: [b]\n>>>>>>> other\n"
    (fault,) = refusal(text)
    assert (fault.origin.line, fault.message) == (
        6,
        "a conflict marker: a merge was not finished",
    )


@pytest.mark.parametrize("marker", ["<<<<<<< HEAD", "=======", ">>>>>>> other", "||||||| base"])
@pytest.mark.parametrize("text", ["{marker}\n{head}", "{head}{marker}\n"])
def test_what_is_left_of_a_conflict_is_one(refusal: Refusal, marker: str, text: str) -> None:
    """Kind: a mistake is known by all of its traces, and half of them were removed by hand."""
    (fault,) = refusal(text.format(marker=marker, head=HEAD))
    assert fault.message == "a conflict marker: a merge was not finished"
    assert fault.origin.line == (1 if text.startswith("{marker}") else 6)


def test_a_missing_path_has_no_line(tmp_path: Path) -> None:
    """Kind: a place is named that does not exist."""
    missing = str(tmp_path / "nope.yaml")
    done = call(["validate", missing])
    assert done.err == f"{missing}: cannot be read: No such file or directory\n1 fault\n"
    assert call(["validate", missing, "--format", "github"]).out == (
        f"::error file={missing}::cannot be read: No such file or directory\n"
    )
    (fault,) = call(["validate", missing, "--format", "json"]).document
    assert (fault["line"], fault["column"]) == (None, None)


def test_many_equal_hints_are_one(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    keys = "".join(f"  wrong{number}: 1\n" for number in range(25))
    path.write_text(HEAD.replace("quotes", "file") + keys)
    lines = call(["validate", str(path)]).err.splitlines()
    assert sum(": unknown key" in line for line in lines) == 25
    (hint,) = [line for line in lines if line.startswith("  hint: ")]
    assert hint.endswith("(the same for 25 faults)")
    assert lines[-1] == "25 faults", "`validate` does nothing in any case"
    assert call(["plan", str(path)]).err.endswith("25 faults; nothing was done\n")
