"""Requirements and markers of any depth and length are refused in words by every reader."""

from __future__ import annotations

import time

import pytest

from reconciler.plugin import OptionFault
from reconciler_python.matching.rules import parse_rule
from reconciler_python.matching.subjects import projects
from reconciler_python.reading.bounded_requirements import (
    read_marker,
    read_requirement,
    read_specifiers,
)
from reconciler_python.reading.core_metadata import UnreadableMetadata, read_dependencies
from reconciler_python.requirements.environments import marker_holds
from reconciler_python.requirements.lock_files import read_lock

BARE = 'os_name == "posix"'
HOSTILE = {
    "deep": f"acme; {'(' * 300}{BARE}{')' * 300}",
    "deeper": f"acme; {'(' * 3000}{BARE}{')' * 3000}",
    "digits": f"acme=={'9' * 5000}",
    "long": f"acme; {' or '.join([BARE] * 1000)}",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_would_fail_where_it_is_used_is_no_requirement(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested|more than|digits"):
        read_requirement(text)
    with pytest.raises(UnreadableMetadata, match="no requirement"):
        read_dependencies(f"Requires-Dist: {text}\n".encode())


@pytest.mark.parametrize("text", [HOSTILE["deep"], HOSTILE["deeper"], HOSTILE["digits"]])
def test_rules_of_a_manifest_and_subjects_are_bounded_too(text: str) -> None:
    with pytest.raises(OptionFault, match="is no"):
        parse_rule(text, extras=True)
    assert projects(text) == ([] if "==9" in text else ["acme"])  # a marker says nothing there


def test_a_lock_is_bounded_too() -> None:
    marker = HOSTILE["deep"].partition("; ")[2].replace('"', "'")
    lock = 'version = 1\n[[package]]\nname = "a"\nversion = "1"\nsource = {registry = "x"}\n'
    parsed = read_lock("uv", "uv.lock", f'{lock}resolution-markers = ["{marker}"]\n'.encode())
    assert [("is no environment marker" in str(fault)) for fault in parsed.faults] == [True]


def test_honest_depth_is_read() -> None:
    text = f"acme>=1; {'(' * 50}{BARE}{')' * 50}"
    (dependency,) = read_dependencies(f"Requires-Dist: {text}\n".encode())
    assert marker_holds(dependency.marker, [{"os_name": "posix"}])
    assert not marker_holds(dependency.marker, [{"os_name": "nt"}])
    many = " or ".join([f"({BARE})"] * 200)  # side by side is not within each other
    assert marker_holds(read_marker(many), [{"os_name": "posix"}])
    assert read_specifiers(">=1,<2").contains("1.5")


def test_blanks_cost_no_more_than_their_number() -> None:
    began = time.process_time()
    with pytest.raises(OptionFault):
        parse_rule("a" + (" " * 20_000 + "x") * 5)
    assert time.process_time() - began < 2  # seconds; a minute where each blank is tried anew
