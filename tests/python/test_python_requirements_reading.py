"""Requirements files: their kind, their bytes, and that no text breaks the reader."""

from __future__ import annotations

import contextlib
import os
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.plugin import Located, OptionFault
from reconciler_python.requirements.requirement_files import ParsedFiles, read_requirements
from reconciler_python.requirements.requirement_options import content
from tests.support.required import (
    A,
    asked,
    fault,
    options,
    texts,
)


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    def test_byte_order_marks(self, tmp_path: Path, encoding: str) -> None:
        assert texts(asked(tmp_path, "foo==1 # Grüße\r\nbar\r\n".encode(encoding))) == [
            "bar",
            "foo==1",
        ]

    def test_a_declared_encoding(self, tmp_path: Path) -> None:
        assert texts(
            asked(tmp_path, "# x\n# -*- coding: latin-1 -*-\nfoo # é\n".encode("latin-1"))
        ) == ["foo"]

    @pytest.mark.parametrize(
        "name", ["nope", "rot13", "unicode_escape", "idna", "punycode", "undefined", "zlib"]
    )
    def test_an_encoding_of_no_text(self, tmp_path: Path, name: str) -> None:
        assert f"encoding `{name}`" in fault(tmp_path, f"# coding: {name}\nfoo\n")

    def test_bytes_that_cannot_be_read(self, tmp_path: Path) -> None:
        assert "its bytes are no UTF-8" in fault(tmp_path, b"foo # \xff\n")


class TestReading:
    def test_a_file_is_read_once_and_again_when_it_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "requirements.txt"

        def read() -> Any:
            return content(Located("requirements.txt", path), "requirements", skip=False)

        path.write_text("foo==${SOME_X}")
        monkeypatch.setenv("SOME_X", "1")
        first = read()
        assert read() is first  # of today: by its bytes
        os.utime(path, (1, 1))
        path.write_text("foo==${SOME_X}\nbar")
        second = read()
        assert [unit.project for unit in second.requirements] == ["foo", "bar"]
        monkeypatch.setenv("SOME_X", "2")
        assert read() is not second
        path.unlink()
        with pytest.raises(OptionFault):
            read()

    def test_what_nobody_holds_is_forgotten(self, tmp_path: Path) -> None:
        (tmp_path / "requirements.txt").write_text("foo")
        held = content(
            Located("requirements.txt", tmp_path / "requirements.txt"), "requirements", skip=False
        )
        known = weakref.ref(held)
        del held
        assert known() is None

    @pytest.mark.parametrize(
        "name",
        ["pyproject.toml", "environment.yml", "Pipfile", "setup.py", "package.json", "other.lock"],
    )
    def test_files_of_another_kind_are_told_by_their_names(self, tmp_path: Path, name: str) -> None:
        assert "no name of a requirements file or a lock file" in fault(tmp_path, "foo==1\n", name)
        assert texts(asked(tmp_path, "foo==1\n", name, format="requirements")) == ["foo==1"]

    @pytest.mark.parametrize(
        "entry",
        [
            5,
            ["a"],
            None,
            True,
            {"file": ""},
            {"unresolvable": "skip"},
            {"file": "a.txt", "format": "conda"},
        ],
    )
    def test_entries_of_another_shape(self, tmp_path: Path, entry: Any) -> None:
        with pytest.raises(ValidationError):
            options(tmp_path, entry)


class _Memory:
    """The same bytes under every path, and one variable that is set."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def read(self, path: Path) -> bytes:
        return self.body

    def variable(self, name: str) -> str | None:
        return "x y'" if name == "A" else None


PIECES = st.sampled_from(
    [
        "foo",
        "==",
        "1.0",
        ">=",
        ";",
        "python_version",
        "'3'",
        "-r",
        " ",
        "\\\n",
        "\n",
        "#",
        "--hash=sha256:",
        A,
        "[",
        "]",
        "@",
        "${A}",
        "${B}",
        "-",
        "--",
        "=",
        "\x00",
        '"',
    ]
)


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode()),
        st.text(max_size=200).map(lambda text: text.encode(errors="replace")),
    )
)
def test_no_text_breaks_the_reader(body: bytes) -> None:
    parsed = ParsedFiles()
    with contextlib.suppress(OptionFault):
        parsed = read_requirements("r.txt", Path("/nowhere/r.txt"), _Memory(body), skip=False)
    assert all(type(fault) is OptionFault and str(fault).isprintable() for fault in parsed.faults)
    for unit in parsed.requirements:
        assert unit.text.isprintable()
        unit.matches("1.0", "foo-1.0.zip", [])
