"""Broken lock files, and the standard library's reading."""

from __future__ import annotations

import contextlib
import json
import tomllib
from pathlib import Path

import pytest
import tomli
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.plugin import OptionFault
from reconciler_python.requirements.lock_files import package_lines, read_lock
from tests.support.locks import (
    NAMES,
    PDM,
    PIPENV,
    POETRY,
    PYLOCK,
    UV,
    A,
    faults,
    required,
)


class TestFaults:
    @pytest.mark.parametrize(
        ("format", "text", "said"),
        [
            (
                "uv",
                "version = 2\n",
                "`uv.lock` states version 2 of its format; understood is version 1",
            ),
            ("uv", "", "states no version of its format"),
            ("poetry", '[metadata]\nlock-version = "3.0"\n', "understood is versions 1 and 2"),
            ("poetry", "metadata = 5\n", "states no version"),
            ("pdm", '[metadata]\nlock_version = "5.0"\n', "understood is version 4"),
            (
                "pylock",
                'lock-version = "2.0"\ncreated-by = "x"\npackages = []\n',
                "understood is version 1",
            ),
            (
                "pylock",
                'lock-version = "1.0"\n',
                "is no PEP 751 lock file: Missing required value in 'created-by'",
            ),
            ("pipenv", '{"_meta": {"pipfile-spec": 7}}', "understood is version 6"),
            ("pipenv", "[]", "it holds no mapping"),
            ("pipenv", "{", "cannot be read as JSON"),
            ("pipenv", "[" * 100_000, "cannot be read as JSON: it is nested too deeply"),
            (
                "pipenv",
                '{"_meta": {"pipfile-spec": 6}, "default": 5}',
                "its `default` is no object of objects",
            ),
            ("uv", "version = ", "cannot be read as TOML"),
            ("uv", "x = " + "[" * 100_000, "cannot be read as TOML: it is nested too deeply"),
            (
                "uv",
                "x = " + "[" * 500 + "]" * 500,
                "cannot be read as TOML: it is nested too deeply",
            ),
            (
                "poetry",
                'metadata.lock-version = "2.1"\n[[package]]\nname = "alpha"\nversion = "1"\n'
                f"markers{'.a' * 990} = 1\n",
                "cannot be read as TOML: it is nested too deeply",
            ),
            ("uv", "version = 1\npackage = 5\n", "its `package` is no list of tables"),
            ("uv", "version = 1\npackage = [5]\n", "its `package` is no list of tables"),
        ],
    )
    def test_files_that_are_wrong_as_a_whole(
        self, tmp_path: Path, format: str, text: str, said: str
    ) -> None:
        [found] = faults(tmp_path, text, NAMES[format])
        assert said in found

    @pytest.mark.parametrize(
        ("package", "said"),
        [
            (
                'name = "a"\nversion = "1"\nsource = { cloud = "x" }',
                "`source` of an unknown kind: cloud",
            ),
            (
                'name = "../a"\nversion = "1"\nsource = { registry = "x" }',
                "`../a` is no project's name",
            ),
            (
                'name = "a"\nversion = "one"\nsource = { registry = "x" }',
                "`a==one`: that is no version",
            ),
            (
                f'name = "a"\nversion = "1{"2" * 5000}"\nsource = {{ registry = "x" }}',
                "that is no version",
            ),
            ('name = "a"\nversion = 1\nsource = { registry = "x" }', "`version` is no text"),
            ('name = "a"\nversion = "1"\nsource = 5', "`source` is no table"),
            (
                'name = "a"\nsource = { registry = "x" }\nwheels = [5]',
                "`wheels` holds what is no table",
            ),
            (
                (
                    'name = "a"\nsource = { registry = "x" }\nwheels = [{ url = "https://x/a.whl",'
                    ' hash = "sha256:short" }]'
                ),
                "`sha256:short` is no digest",
            ),
            (
                'name = "a"\nsource = { registry = "x" }\nwheels = [{ url = 5 }]',
                "a name that is no text",
            ),
            (
                'name = "a"\nsource = { registry = "x" }\nwheels = [{}]',
                "neither a name nor a digest",
            ),
            (
                (
                    'name = "a"\nversion = "1"\nsource = { registry = "x" }\nresolution-markers ='
                    ' ["x = 1"]'
                ),
                "`x = 1` is no environment marker",
            ),
            (
                'name = "a"\nversion = "1"\nsource = { registry = "x" }\nresolution-markers = [5]',
                "`5` is no environment marker",
            ),
        ],
    )
    def test_packages_that_are_wrong_each_in_its_line(
        self, tmp_path: Path, package: str, said: str
    ) -> None:
        text = f"version = 1\n\n[[package]]\n{package}\n\n[[package]]\n{package}\n"
        found = faults(tmp_path, text, "uv.lock")
        assert len(found) == 2
        assert found[0].startswith("uv.lock:3: ")
        assert all(said in one for one in found)

    @pytest.mark.parametrize("markers", ["5", "[5]", '[["x"]]', "{ main = 5 }", "true"])
    def test_markers_that_are_no_texts(self, tmp_path: Path, markers: str) -> None:
        package = f'[[package]]\nname = "a"\nversion = "1"\nmarkers = {markers}\n'
        [found] = faults(tmp_path, f'{package}[metadata]\nlock-version = "2.1"\n', "poetry.lock")
        assert found.startswith("poetry.lock:1: `")
        assert "is no environment marker" in found

    def test_digests_of_unknown_kinds(self, tmp_path: Path) -> None:
        [found] = faults(tmp_path, PYLOCK.replace("sha512 = ", "sha999 = "), "pylock.toml")
        assert found == "pylock.toml:23: a file has digests of unknown kinds only: sha999"

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "uv.lock").write_bytes(b"\xff")
        with pytest.raises(ValidationError, match="its bytes are no UTF-8"):
            required(tmp_path, "uv.lock")


SAMPLES = {
    "uv": UV,
    "poetry": POETRY,
    "pdm": PDM,
    "pylock": PYLOCK,
    "pipenv": json.dumps(PIPENV, indent=1),
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_no_file_breaks_the_readers(format: str, data: st.DataObject) -> None:
    sample = SAMPLES[format]
    start = data.draw(st.integers(0, len(sample)))
    text = (
        sample[:start]
        + data.draw(st.text(st.sampled_from("\"[]{}=,5\n\\' x\x00"), max_size=8))
        + sample[start + data.draw(st.integers(0, 40)) :]
    )
    with contextlib.suppress(OptionFault):
        parsed = read_lock(format, NAMES[format], text.encode())
        assert all(
            type(fault) is OptionFault and str(fault).isprintable() for fault in parsed.faults
        )
        assert all(unit.text.isprintable() for unit in parsed.requirements)


VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6).map(
        lambda text: json.dumps(text, ensure_ascii=False).replace("\x7f", "")
    ),
    st.integers(0, 10**19).map(str),
    st.sampled_from(
        [
            '"plain"',
            "05",
            "1.5",
            "true",
            "2025-05-05T05:05:05Z",
            "2025-05-05T05:05:05.123Z",
            "2025-13-05T05:05:05Z",
            '{ sha256 = "x" }',
            "{}",
            '""',
            "'x'",
            '"""x"""',
        ]
    ),
)
TABLES = st.lists(
    st.tuples(st.sampled_from(["url", "hash", "size", "a-b", '"q"', "a.b"]), VALUES), max_size=3
).map(lambda pairs: "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }")
BLOCKS = st.tuples(
    st.sampled_from(["wheels", "files", '"a.b"']),
    st.lists(TABLES, max_size=3),
    st.sampled_from([",", ""]),
    st.booleans(),
).map(
    lambda block: (
        f"{block[0]} = {block[1][0]}\n"
        if block[3] and block[1]
        else f"{block[0]} = [\n" + "".join(f"    {one}{block[2]}\n" for one in block[1]) + "]\n"
    )
)


TABLE_IN_TEXT = 'text = """\nwheels = [\n    { url = "plain", size = 5 },\n]\n"""\n'
TABLE_AFTER_QUOTES = 'text = """\n"""\nwheels = [\n    { url = "a" },\n]\ntext2 = """\n"""\n'


@settings(max_examples=150, deadline=None)
@example(TABLE_IN_TEXT)
@example(f"[[package]]\n{TABLE_IN_TEXT}")
@example(TABLE_AFTER_QUOTES)
@example('text = """\n\\wheels = { url = "plain" }\n"""\n')
@example("wheels = [\n    { size = 05 }\n]\n")
@given(
    st.lists(
        st.one_of(
            BLOCKS,
            st.sampled_from(["[[package]]\n", 'text = """\n', '"""\n', "# x\n", "\\", "\x0b"]),
        ),
        max_size=6,
    ).map("".join)
)
def test_locks_are_read_as_the_standard_library_reads_toml(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r".*"):
            tomli.loads(text)
    else:
        assert tomli.loads(text) == expected


def test_a_table_within_a_text_of_several_lines_is_text() -> None:
    """A reader by lines once took such files for those of the package."""
    lock = f"""version = 1
[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "https://index.example.org/simple/" }}
description = '''
wheels = [
    {{ url = "https://index.example.org/evil-1.0-py3-none-any.whl", hash = "sha256:{"e" * 64}" }},
]
'''
wheels = [
    {{ url = "https://index.example.org/alpha-1.0-py3-none-any.whl", hash = "sha256:{A}" }},
]
"""
    [alpha] = read_lock("uv", "uv.lock", lock.encode()).requirements
    assert alpha.sha256s == {A}


def test_lines_of_packages_are_not_told_where_texts_look_like_them() -> None:
    text = '\n[[package]]\nx = """\n[[package]]\n"""\n[[package]]\n'
    assert package_lines(text, "package", 2) == []
    assert package_lines(text, "package", 3) == [2, 4, 6]
