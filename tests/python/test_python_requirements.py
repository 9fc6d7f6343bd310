"""Requirements files: what they ask for, and what is refused in them, in whose line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.plugin import Artifact, Malformed, Unit
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.requirements.requirements import LockedFile, ProjectRequirement, Requirements
from tests.support.required import (
    LINUX,
    WINDOWS,
    A,
    B,
    C,
    asked,
    fault,
    faults,
    matches,
    only,
    options,
    texts,
)


def unit(filename: str, sha256: str = "", **digests: str) -> Unit:
    return Unit("python.distribution", filename, {}, [Artifact(filename, sha256, digests=digests)])


class TestLines:
    def test_a_file_as_pip_reads_it(self, tmp_path: Path) -> None:
        text = """\
# a comment
Django >=5,<6  # another
name[Extra.One,two] (==1.0) ; python_version > "3.8"

exact===1.0
url-fragment-no-comment==1#
long>=1,\\
    <2 \\
  # a comment ends the continuation
last==2.*"""
        found = asked(tmp_path, text.replace("url-fragment-no-comment==1#\n", ""))
        assert found.projects() == ["django", "exact", "last", "long", "name"]
        assert {
            one: [(each.place, each.text) for each in found.for_project(one)]
            for one in ("django", "last", "long")
        } == {
            "django": [("requirements.txt:2", "Django >=5,<6")],
            "last": [("requirements.txt:9", "last==2.*")],
            "long": [("requirements.txt:6", "long>=1,    <2")],
        }
        assert only(found, "name").extras == {"extra-one", "two"}
        assert str(only(found, "name").marker) == 'python_version > "3.8"'
        assert str(only(found, "name").specifiers) == "==1.0"
        assert str(only(found, "exact").specifiers) == "===1.0"

    def test_what_pip_freeze_writes(self, tmp_path: Path) -> None:
        text = (
            "alpha==1.0\nbeta @ file:///wheels/beta-1.0-py3-none-any.whl#sha256=00\n-e"
            " git+https://git.example.org/x@0#egg=gamma\ndelta==2+local\n"
        )
        assert [line.partition(" cannot")[0] for line in faults(tmp_path, text)] == [
            "requirements.txt:2: a requirement by URL, path or version control",
            "requirements.txt:3: an editable requirement",
        ]
        found = asked(tmp_path, text, unresolvable="skip")
        assert found.projects() == ["alpha", "delta"]
        assert matches(found, "2+local", project="delta")

    @pytest.mark.parametrize(
        "line",
        [
            "./folder",
            "../up",
            ".",
            "sub/folder",
            "foo-1.0-py3-none-any.whl",
            "foo-1.0.tar.gz",
            "C:\\wheels\\foo.whl",
            "https://files.example.org/foo.zip",
            "git+ssh://git@example.org/foo.git",
            "foo@https://files.example.org/foo",
            "foo[bar] @ hg+https://example.org/foo ; python_version > '3'",
            "-e foo",
            "--editable=.",
        ],
    )
    def test_what_no_index_has_is_refused_or_skipped(self, tmp_path: Path, line: str) -> None:
        assert "cannot come from an index" in fault(tmp_path, line)
        assert texts(asked(tmp_path, line, unresolvable="skip")) == []

    def test_options_that_say_where_pip_looks_say_nothing_here(self, tmp_path: Path) -> None:
        text = """\
-i https://index.example.org/simple
--index-url=https://${USER_X}:${PASSWORD_X}@index.example.org/simple
--extra-index-url https://more.example.org/simple
-f ./wheels
--find-links=https://files.example.org
--no-index
--trusted-host index.example.org
--prefer-binary
--use-feature truststore
foo==1 --config-settings="--build-option=x y" --global-option="-q"
"""
        assert texts(asked(tmp_path, text)) == ["foo==1"]

    def test_pre_and_its_like(self, tmp_path: Path) -> None:
        plain = asked(tmp_path, "foo>=1\nbar\nbaz>=1rc1\n")
        assert (
            matches(plain, "2rc1"),
            matches(plain, "2rc1", project="bar"),
            matches(plain, "2rc1", project="baz"),
        ) == (False, True, True)
        assert matches(asked(tmp_path, "foo>=1\n--pre\n"), "2rc1")
        some = asked(tmp_path, "foo>=1\nbar\n--all-releases foo\n--only-final bar\n")
        assert (
            matches(some, "2rc1"),
            matches(some, "2rc1", project="bar"),
            matches(some, "2", project="bar"),
        ) == (True, False, True)

    def test_wheels_only_and_source_only(self, tmp_path: Path) -> None:
        found = asked(
            tmp_path,
            "foo\nbar\nbaz\n--only-binary=:all:\n--no-binary bar\n--only-binary"
            " :none:\n--only-binary foo\n",
        )
        kinds = {
            name: [
                matches(found, "1", project=name, filename=f"{name}-1{end}")
                for end in ("-py3-none-any.whl", ".tar.gz")
            ]
            for name in found.projects()
        }
        assert kinds == {"bar": [False, True], "baz": [True, True], "foo": [True, False]}

    def test_hashes_mean_exactly_those_files(self, tmp_path: Path) -> None:
        found = asked(
            tmp_path, f"foo==1 \\\n    --hash=sha256:{A} \\\n    --hash sha256:{B.upper()}\n"
        )
        assert [matches(found, "1", digest) for digest in (A, B, C)] == [True, True, False]
        assert not matches(found, "2", A)  # its bytes, but not what was pinned
        assert only(found).sha256s == {A, B}

    def test_other_algorithms_are_compared_where_the_index_tells_them(self, tmp_path: Path) -> None:
        long = "d" * 128
        found = only(asked(tmp_path, f"foo --hash=sha512:{long}"))
        assert found.matches(
            "1", "foo-1.zip", [Artifact("foo-1.zip", "", digests={"sha512": long})]
        )
        assert not found.matches(
            "1", "foo-1.zip", [Artifact("foo-1.zip", A, digests={"sha512": "e" * 128})]
        )
        assert not found.matches("1", "foo-1.zip", [Artifact("foo-1.zip", A)])
        assert not found.matches(
            "1", "foo-1.zip", [Artifact("foo-1.zip.metadata", "", digests={"sha512": long})]
        )

    def test_require_hashes(self, tmp_path: Path) -> None:
        assert fault(tmp_path, f"foo==1 --hash=sha256:{A}\nbar==1\n--require-hashes\n").startswith(
            "requirements.txt:2: `bar==1` has no `--hash`"
        )
        assert texts(asked(tmp_path, "bar==1\n--require-hashes\n--no-require-hashes")) == ["bar==1"]

    def test_variables_are_put_in_and_never_shown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WANTED_VERSION", "1.5")
        monkeypatch.setenv("SECRET", "hunter2 ~= x")
        found = only(asked(tmp_path, "foo==${WANTED_VERSION}"))
        assert (str(found.specifiers), found.text) == ("==1.5", "foo==${WANTED_VERSION}")
        said = faults(
            tmp_path,
            "foo==${SECRET}\n-e ${SECRET}\n${SECRET} @ x\nfoo @"
            " https://${SECRET}@example.org\nfoo==${UNSET_X}\nfoo==${lower}\n",
        )
        assert "hunter2" not in repr(said)
        assert said[4] == "requirements.txt:5: the environment variable `UNSET_X` is not set"
        assert "is no requirement" in said[5]

    def test_credentials_are_not_shown(self, tmp_path: Path) -> None:
        assert "hunter2" not in fault(tmp_path, "foo @ https://user:hunter2@example.org/foo.whl")

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("foo==", "is no requirement"),
            ("foo bar", "is no requirement"),
            ("foo==1; nonsense > '3'", "is no requirement"),
            ("foo==1" + "2" * 5000, "is no requirement"),
            ("foo; " + "(" * 5000 + "os_name=='a'" + ")" * 5000, "a requirement of"),
            ("foo; " + "(" * 3500 + "os_name=='a'" + ")" * 3500, "is no requirement"),
            ("f" * 300, "no project's name"),
            ("foo --hash=md5:" + "a" * 32, "`--hash` with `md5`"),
            ("foo --hash=sha256:" + "g" * 64, "64 hex digits"),
            ("foo --hash", "lacks its value"),
            ("--hash=sha256:" + A, "without a requirement"),
            ("foo -r other.txt", "`--requirement` after a requirement"),
            ("--pre=yes", "takes no value"),
            ("--no-such-option", "is no option"),
            ("-x", "is no option"),
            ("--no", "is no option"),
            ("foo --hash='sha256:" + A, "within quotes"),
            ("-r https://example.org/requirements.txt", "behind a URL"),
            ("-r gone.txt", "`gone.txt`: there is no such file"),
            ("-r ${UNSET_X}.txt", "`UNSET_X` is not set"),
            ("-r .", "it is a folder"),
        ],
    )
    def test_what_is_refused_with_its_line(self, tmp_path: Path, line: str, said: str) -> None:
        found = fault(tmp_path, f"ok==1\n{line}\n")
        assert found.startswith("requirements.txt:2: ")
        assert said in found
        assert len(found) < 600

    def test_all_faults_are_told_at_once_up_to_a_limit(self, tmp_path: Path) -> None:
        found = faults(tmp_path, "!\n" * 1000)
        assert len(found) == 51
        assert found[-1] == "950 more faults"


class TestNested:
    def test_files_are_relative_to_the_one_that_names_them(self, tmp_path: Path) -> None:
        (tmp_path / "deep" / "er").mkdir(parents=True)
        (tmp_path / "deep" / "base.txt").write_text(
            "beta==1\n-r er/more.txt\n-r../requirements.txt"
        )
        (tmp_path / "deep" / "er" / "more.txt").write_text("gamma==1\n-c ../limits.txt\n")
        (tmp_path / "deep" / "limits.txt").write_text("alpha<2\nunasked==1\n")
        assert faults(tmp_path, "alpha\n-r deep/base.txt\n") == [
            "deep/base.txt:3: `../requirements.txt` names itself, directly or through others"
        ]
        (tmp_path / "deep" / "base.txt").write_text("beta==1\n-r er/more.txt\n")
        found = asked(tmp_path, "alpha\n-r deep/base.txt\n--requirement=deep/base.txt")
        assert [
            (one.text, one.place) for name in found.projects() for one in found.for_project(name)
        ] == [
            ("alpha within alpha<2 (deep/limits.txt:1)", "requirements.txt:1"),
            ("beta==1", "deep/base.txt:1"),
            ("gamma==1", "deep/er/more.txt:1"),
        ]

    def test_depth_and_number_end_somewhere(self, tmp_path: Path) -> None:
        for number in range(40):
            (tmp_path / f"{number}.txt").write_text(f"-r {number + 1}.txt\n")
        assert fault(tmp_path, "-r 0.txt") == "30.txt:1: files that name each other 32 deep"
        for number in range(1001):
            (tmp_path / f"{number}.txt").write_text("")
        assert fault(tmp_path, "".join(f"-r {number}.txt\n" for number in range(1000))).endswith(
            "more than 1,000 files that name each other"
        )

    def test_symbolic_links_are_followed(self, tmp_path: Path) -> None:
        (tmp_path / "real.txt").write_text("foo==1")
        (tmp_path / "link.txt").symlink_to("real.txt")
        assert texts(options(tmp_path, "link.txt").required) == ["foo==1"]

    def test_what_is_no_plain_file_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.txt")
        with pytest.raises(ValidationError, match=r"`pipe\.txt`: it is no plain file"):
            options(tmp_path, "pipe.txt")

    def test_a_file_has_a_largest_size(self, tmp_path: Path) -> None:
        with (tmp_path / "big.txt").open("wb") as file:
            file.truncate(64 * 1024 * 1024 + 1)
        with pytest.raises(ValidationError, match="more than 64 MiB"):
            options(tmp_path, "big.txt")


class TestConstraints:
    def limited(self, folder: Path, limits: str, wanted: str = "foo", **keys: Any) -> Requirements:
        (folder / "limits.txt").write_text(limits)
        return asked(folder, f"{wanted}\n-c limits.txt\n", **keys)

    def test_they_narrow_and_never_add(self, tmp_path: Path) -> None:
        found = self.limited(tmp_path, "foo<2\nfoo!=1.5\nother==1\n", "foo>=1")
        assert found.projects() == ["foo"]
        assert [version for version in ("0.9", "1", "1.5", "2") if matches(found, version)] == ["1"]

    def test_what_a_constraint_file_requires_is_a_constraint(self, tmp_path: Path) -> None:
        (tmp_path / "more.txt").write_text("foo<2\nother==1")
        assert self.limited(tmp_path, "-r more.txt").projects() == ["foo"]

    def test_their_hashes_are_asked_for_too(self, tmp_path: Path) -> None:
        found = self.limited(tmp_path, f"foo==1 --hash=sha256:{A} --hash=sha256:{B}")
        assert (matches(found, "1", A), matches(found, "1", C)) == (True, False)
        both = self.limited(
            tmp_path,
            f"foo==1 --hash=sha256:{A} --hash=sha256:{B}",
            f"foo --hash=sha256:{B} --hash=sha256:{C}",
        )
        assert [digest for digest in (A, B, C) if matches(both, "1", digest)] == [B]
        with pytest.raises(ValidationError, match="have no `--hash` in common"):
            self.limited(tmp_path, f"foo==1 --hash=sha256:{A}", f"foo --hash=sha256:{B}")

    def test_without_environments_marked_ones_are_alternatives(self, tmp_path: Path) -> None:
        found = self.limited(
            tmp_path,
            "foo==1; python_version<'3.10'\nfoo==2; python_version>='3.10'\nfoo!=2.0.post1",
        )
        assert [version for version in ("1", "2", "3") if matches(found, version)] == ["1", "2"]

    def test_with_environments_each_holds_where_its_marker_does(self, tmp_path: Path) -> None:
        found = self.limited(
            tmp_path, "foo<2; sys_platform=='win32'\n", "foo>1", environments={"linux": LINUX}
        )
        assert matches(found, "3")
        both = self.limited(
            tmp_path,
            "foo<2; sys_platform=='win32'\nfoo>=2; sys_platform=='linux'",
            environments={"a": LINUX, "b": WINDOWS},
        )
        assert [version for version in ("1", "2", "3") if matches(both, version)] == ["1", "2", "3"]
        assert len(both.for_project("foo")) == 2

    @pytest.mark.parametrize("line", ["foo[extra]<2", "./path", "-e ."])
    def test_what_can_be_no_constraint(self, tmp_path: Path, line: str) -> None:
        (tmp_path / "limits.txt").write_text(line)
        assert fault(tmp_path, "foo\n-c limits.txt").startswith("limits.txt:1: ")


class TestMarkers:
    TEXT = "foo; sys_platform=='win32'\nbar; python_version>='3.10'\nbaz\nqux; extra=='x'\n"

    def test_without_environments_they_count_as_true(self, tmp_path: Path) -> None:
        assert asked(tmp_path, self.TEXT).projects() == ["bar", "baz", "foo"]

    def test_one_environment_is_enough(self, tmp_path: Path) -> None:
        assert asked(tmp_path, self.TEXT, environments={"linux": LINUX}).projects() == [
            "bar",
            "baz",
        ]
        assert asked(
            tmp_path, self.TEXT, environments={"linux": LINUX, "windows": WINDOWS}
        ).projects() == ["bar", "baz", "foo"]


class TestModel:
    def test_an_empty_file_asks_for_nothing_and_is_not_everything(self, tmp_path: Path) -> None:
        found = asked(tmp_path, "# nothing\n")
        assert bool(found)
        assert found.projects() == []
        assert not bool(SelectionOptions().required)

    def test_an_arbitrary_version_is_compared_as_text(self, tmp_path: Path) -> None:
        found = asked(tmp_path, "foo===2004d-X\nbar==1\nbaz\n")
        assert matches(found, "2004D-x", filename="foo-2004d.zip")
        assert not matches(found, "2004e", filename="foo-2004e.zip")
        assert not matches(found, "2004d", project="bar", filename="bar.zip")
        assert matches(found, "2004d", project="baz", filename="baz.zip")

    def test_missing_names_what_the_index_does_not_offer(self, tmp_path: Path) -> None:
        found = asked(
            tmp_path,
            f"foo==1 --hash=sha256:{A} --hash=sha256:{B} --hash=sha512:{'d' * 128}\nbar==1\n",
        )
        wanted = only(found)
        offered = [
            unit("foo-1.zip", A),
            unit("foo-1.whl", C, sha512="d" * 128),
            unit("foo-1.metadata", ""),
        ]
        assert found.missing("foo", offered) == [(f"sha256:{B}", wanted)]
        assert [digest for digest, _ in found.missing("foo", [])] == [
            f"sha256:{A}",
            f"sha256:{B}",
            f"sha512:{'d' * 128}",
        ]
        assert found.missing("bar", []) == []
        assert found.missing("baz", []) == []

    def test_a_recorded_file_that_is_gone_is_a_fault_when_it_is_needed(
        self, tmp_path: Path
    ) -> None:
        recorded = options(tmp_path, "gone.txt", "x.toml", recorded=True)
        assert recorded.model_dump(mode="json", by_alias=True, exclude_defaults=True) == {
            "requirements": [{"file": "gone.txt"}, {"file": "x.toml"}]
        }
        with pytest.raises(Malformed, match=r"`gone\.txt`: there is no such file"):
            _ = recorded.required
        (tmp_path / "gone.txt").write_text("foo==1")
        assert texts(options(tmp_path, "gone.txt", recorded=True).required) == ["foo==1"]

    def test_the_identity_is_the_meaning(self, tmp_path: Path) -> None:
        def identity(text: str, name: str = "requirements.txt", **keys: Any) -> Any:
            (tmp_path / name).write_text(text)
            dumped = options(tmp_path, {"file": name, **keys}).model_dump(
                mode="json", by_alias=True, exclude_defaults=True
            )
            assert str(tmp_path) not in str(dumped)
            return dumped["requirements"]

        first = identity("foo==1\nbar>=2,<3\n")
        assert identity("# a comment\nbar <3,>=2\n\nFoo == 1\n", "other.txt") == first
        others = [
            "foo==1\n",
            "foo==1\nbar>=2,<4\n",
            "foo==1\nbar[x]>=2,<3\n",
            "foo==1\nbar>=2,<3; os_name=='nt'",
            f"foo==1 --hash=sha256:{A}\nbar>=2,<3",
        ]
        others += [
            f"foo==1\nbar>=2,<3\n{more}\n"
            for more in ("--pre", "--only-binary foo", "--no-binary foo", "--only-final foo")
        ]
        found = [
            first,
            *(identity(text) for text in others),
            identity("foo==1\nbar>=2,<3\n", unresolvable="skip"),
        ]
        assert len({str(one) for one in found}) == len(found)


def test_a_digest_that_the_index_does_not_declare_contradicts_nothing() -> None:
    locked = LockedFile("", (("sha256", A), ("sha512", "c" * 128)))
    requirement = ProjectRequirement("foo", "foo", "pylock.toml:1", files=(locked,))
    assert requirement.matches("1", "foo-1.zip", [Artifact("foo-1.zip", A)])
    other = Artifact("foo-1.zip", A, digests={"sha512": "d" * 128})
    assert not requirement.matches("1", "foo-1.zip", [other])
