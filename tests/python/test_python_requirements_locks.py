"""Lock files as the tools write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.plugin import Artifact
from reconciler_python.options.source_options import SelectionOptions
from tests.support.locks import (
    LINUX,
    PDM,
    PIPENV,
    POETRY,
    PYLOCK,
    UV,
    WINDOWS,
    A,
    B,
    C,
    asked,
    faults,
    matches,
    plain,
    required,
)


class TestFormats:
    def test_uv(self, tmp_path: Path) -> None:
        found = asked(tmp_path, UV, "uv.lock")
        files = [
            "alpha-1.0+local-py3-none-any.whl",
            "alpha-1.0-cp311-none-any.whl",
            "alpha-1.0.tar.gz",
        ]
        assert plain(found) == {
            "alpha": [
                ("uv.lock:11", files, ["a", "b"]),
                ("uv.lock:21", ["alpha-2.0-py3-none-any.whl"], ["c"]),
            ],
            "bare": [("uv.lock:48", [], [])],
        }
        assert matches(found, "alpha", "1.0", A)
        assert matches(
            found, "alpha", "1.0", "f" * 64, "alpha-1.0-cp311-none-any.whl"
        )  # the lock has no digest of it
        assert not matches(found, "alpha", "1.0", "f" * 64, "alpha-1.0.tar.gz")
        assert (matches(found, "bare", "1.0rc1", A), matches(found, "bare", "1.0", A)) == (
            True,
            False,
        )
        assert [
            len(asked(tmp_path, UV, "uv.lock", environments={"one": one}).for_project("alpha"))
            for one in (LINUX, WINDOWS)
        ] == [1, 2]

    @pytest.mark.parametrize(("now", "before"), [("[[package]]", "[[distribution]]")])
    def test_uv_as_it_was(self, tmp_path: Path, now: str, before: str) -> None:
        as_now = plain(asked(tmp_path, UV, "uv.lock"))
        (tmp_path / "older").mkdir()
        assert plain(asked(tmp_path / "older", UV.replace(now, before), "uv.lock")) == as_now

    def test_the_first_locks_of_uv_name_no_table_as_their_source(self, tmp_path: Path) -> None:
        text = 'version = 1\n[[distribution]]\nname = "a"\nsource = "registry+https://x/simple"\n'
        assert "`source` is no table" in faults(tmp_path, text, "uv.lock")[0]

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("uv.lock", "version = 1\n[[distributions]]\nname = 'a'\n"),
            ("uv.lock", "version = 1\n[[package]]\nname = 'a'\nsource = { virtual = '.' }\n"),
            ("poetry.lock", "[metadata]\nlock-version = '2.1'\n[[packages]]\nname = 'a'\n"),
            ("pdm.lock", "[metadata]\nlock_version = '4.5'\n"),
            ("pylock.toml", "lock-version = '1.0'\ncreated-by = 'x'\npackages = []\n"),
            ("Pipfile.lock", '{"_meta": {"pipfile-spec": 6}, "default": {}}'),
            ("requirements.txt", "--pre\n-c constraints.txt\n"),
        ],
    )
    def test_a_file_that_is_read_without_a_fault_and_yields_nothing_is_an_error(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        (tmp_path / "constraints.txt").write_text("foo<2\n")
        assert faults(tmp_path, text, name) == [
            f"`{name}` is read without a fault, and asks an index for nothing"
        ]

    @pytest.mark.parametrize(
        ("entry", "windows", "linux"),
        [
            ({"sys_platform": "== 'win32'"}, True, False),
            ({"sys_platform": "=='win32'", "python_version": ">= '3'"}, True, False),
            ({"markers": "python_version < '3'", "sys_platform": "== 'win32'"}, False, False),
            ({"markers": "os_name == 'nt' or python_version > '3'"}, True, True),
            ({"platform_machine": "in 'x86_64 arm64'"}, True, True),
        ],
    )
    def test_older_pipenv_has_a_key_for_each_variable_of_a_marker(
        self, tmp_path: Path, entry: dict[str, str], windows: bool, linux: bool
    ) -> None:
        lock = {"_meta": {"pipfile-spec": 6}, "default": {"a": {"version": "==1", **entry}}}
        required = asked(tmp_path, json.dumps(lock), "Pipfile.lock")
        [requirement] = required.for_project("a")
        assert (requirement.holds([WINDOWS]), requirement.holds([LINUX])) == (windows, linux)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("requirements.txt", "=\n" * 10_001),
            ("uv.lock", "version = 1\n" + "[[package]]\nsource = 1\n" * 10_001),
        ],
    )
    def test_a_file_of_faults_alone_is_not_read_to_its_end(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        assert faults(tmp_path, text, name) == [f"`{name}` has more than 10,000 faults"]

    def test_a_key_that_is_no_condition_is_a_fault(self, tmp_path: Path) -> None:
        lock = {"_meta": {"pipfile-spec": 6}, "default": {"a": {"sys_platform": "win32"}}}
        assert "is no environment marker" in faults(tmp_path, json.dumps(lock), "Pipfile.lock")[0]

    def test_poetry(self, tmp_path: Path) -> None:
        found = asked(tmp_path, POETRY, "poetry.lock")
        # A text of it looks like a list of files; it is none.
        assert plain(found) == {
            "alpha": [
                ("poetry.lock:3", ["alpha-1.0-py3-none-any.whl", "alpha-1.0.tar.gz"], ["a", "b"])
            ],
            "beta": [("poetry.lock:24", [], [])],
        }
        assert asked(tmp_path, POETRY, "poetry.lock", environments={"linux": LINUX}).projects() == [
            "alpha"
        ]
        assert asked(
            tmp_path, POETRY, "poetry.lock", environments={"windows": WINDOWS}
        ).projects() == ["alpha", "beta"]

    def test_poetry_as_it_was(self, tmp_path: Path) -> None:
        listed = f'"a-b" = [\n    {{file = "a_b-1.zip", hash = "sha256:{A}"}},\n]\n'
        text = (
            '[[package]]\nname = "A.B"\nversion = "1"\n[metadata]\nlock-version ='
            f' "1.1"\n[metadata.files]\n{listed}'
        )
        assert plain(asked(tmp_path, text, "poetry.lock")) == {
            "a-b": [("poetry.lock:1", ["a_b-1.zip"], ["a"])]
        }

    def test_pdm(self, tmp_path: Path) -> None:
        found = asked(tmp_path, PDM, "pdm.lock")
        assert plain(found) == {
            "alpha": [
                ("pdm.lock:7", ["alpha-1.0-py3-none-any.whl", "alpha-1.0.tar.gz"], ["a", "b"])
            ]
        }
        assert found.for_project("alpha")[0].extras == {"x"}
        assert asked(tmp_path, PDM, "pdm.lock", environments={"linux": LINUX}).projects() == []

    def test_pdm_as_it_was(self, tmp_path: Path) -> None:
        listed = "".join(
            f'"alpha {n}" = [\n    {{file = "alpha-{n}.zip", hash = "sha256:{digest}"}},\n]\n'
            for n, digest in ((1, A), (2, B))
        )
        text = (
            '[[package]]\nname = "alpha"\nversion = "1"\n[metadata]\nlock_version ='
            f' "4.0"\n[metadata.files]\n{listed}'
        )
        assert plain(asked(tmp_path, text, "pdm.lock")) == {
            "alpha": [("pdm.lock:1", ["alpha-1.zip"], ["a"])]
        }

    def test_pylock(self, tmp_path: Path) -> None:
        found = asked(tmp_path, PYLOCK, "pylock.toml")
        assert plain(found) == {
            "alpha": [
                ("pylock.toml:7", ["alpha-1.0-py3-none-any.whl", "alpha-1.0.tar.gz"], ["a", "b"])
            ],
            "beta": [("pylock.toml:23", ["beta-1-py3-none-any.whl"], [])],
        }
        assert found.for_project("beta")[0].matches(
            "1", "x.whl", [Artifact("x.whl", A, digests={"sha512": "d" * 128})]
        )
        sdist = found.for_project("alpha")[0]
        assert not sdist.matches(
            "1.0", "x", [Artifact("x", B, digests={"md5": "0" * 32})]
        )  # one digest of two is another
        assert asked(
            tmp_path, PYLOCK, "pylock.named.toml", environments={"linux": LINUX}
        ).projects() == ["alpha"]
        assert asked(
            tmp_path, PYLOCK, "pylock.named.toml", environments={"windows": WINDOWS}
        ).projects() == ["beta"]

    def test_pipenv(self, tmp_path: Path) -> None:
        found = asked(tmp_path, json.dumps(PIPENV, indent=4), "Pipfile.lock")
        assert plain(found) == {
            "alpha": [("Pipfile.lock:11", [], ["a", "b"])],
            "beta": [("Pipfile.lock:29", [], [])],
            "gamma": [("Pipfile.lock:32", [], [])],
        }
        assert (
            matches(found, "beta", "2.0", A),
            matches(found, "beta", "2.1", A),
            matches(found, "gamma", "1rc1", A),
        ) == (True, False, True)
        assert asked(
            tmp_path, json.dumps(PIPENV), "Pipfile.lock", environments={"linux": LINUX}
        ).projects() == ["beta", "gamma"]

    def test_a_format_may_be_said(self, tmp_path: Path) -> None:
        (tmp_path / "locked.txt").write_text(UV)
        found = SelectionOptions.model_validate(
            {"requirements": [{"file": "locked.txt", "format": "uv"}]},
            context={"folder": str(tmp_path)},
        ).required
        assert found.projects() == ["alpha", "bare"]

    def test_windows_line_ends(self, tmp_path: Path) -> None:
        (tmp_path / "uv.lock").write_bytes(UV.replace("\n", "\r\n").encode("utf-8-sig"))
        assert plain(required(tmp_path, "uv.lock")) == plain(asked(tmp_path, UV, "uv.lock"))

    def test_missing_digests_are_named(self, tmp_path: Path) -> None:
        found = asked(tmp_path, UV, "uv.lock")
        assert [(digest, one.place) for digest, one in found.missing("alpha", [])] == [
            (f"sha256:{A}", "uv.lock:11"),
            (f"sha256:{B}", "uv.lock:11"),
            (f"sha256:{C}", "uv.lock:21"),
        ]
