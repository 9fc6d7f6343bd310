"""Manifest files: which are read, in which order, and faults of unreadable ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.errors import Fault, ManifestFaults, UsageFault
from reconciler.manifest import read
from reconciler.manifest.files import MAX_BYTES
from tests.support.quotes import registry


def document(name: str, spec: str = "{type: quotes}") -> str:
    return f"apiVersion: reconciler/v1\nkind: Filter\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def refused(*paths: Path | str) -> list[Fault]:
    with pytest.raises(ManifestFaults) as caught:
        read(paths, registry())
    return list(caught.value.faults)


def test_folders_are_read_recursively_without_hidden_names_and_other_files(tmp_path: Path) -> None:
    for path in (
        "a.yaml",
        "b.yml",
        "deep/er/c.yaml",
        ".hidden.yaml",
        ".reconciler/d.yaml",
        ".git/e.yaml",
        "f.txt",
        "deep/.g/h.yaml",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(document(Path(path).name.strip(".").split(".")[0]))
    assert sorted(read([tmp_path], registry()).filters) == ["a", "b", "c"]


def test_a_file_named_as_an_argument_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / ".odd.txt").write_text(document("odd"))
    assert list(read([tmp_path / ".odd.txt"], registry()).filters) == ["odd"]


def test_a_file_that_is_reached_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(document("a"))
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    assert list(read([tmp_path, tmp_path / "a.yaml", tmp_path], registry()).filters) == ["a"]


def test_a_link_to_a_folder_does_not_lead_round_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(document("a"))
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert list(read([tmp_path], registry()).filters) == ["a"]


def test_places_bear_the_name_that_the_user_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.yaml").write_text(document("a", "{type: no}"))
    assert [str(fault.origin) for fault in refused("m")] == ["m/a.yaml:4:14"]
    assert [str(fault.origin) for fault in refused("./m/a.yaml")] == ["./m/a.yaml:4:14"]
    assert [str(fault.origin) for fault in refused(tmp_path / "m")] == [f"{tmp_path}/m/a.yaml:4:14"]


def test_faults_of_all_files_come_together_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "cab":
        Path(f"{name}.yaml").write_text(document(name, "{type: quotes, x: 1, y: 2}"))
    assert [str(fault.origin) for fault in refused("c.yaml", ".")] == [
        f"{file}:4:{column}" for file in ("./a.yaml", "./b.yaml", "c.yaml") for column in (22, 28)
    ]


@pytest.mark.parametrize("name", ["absent.yaml", "absent/", "a.yaml/below", "with\0nul"])
def test_a_path_that_cannot_be_read_is_a_fault_at_its_first_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(document("a"))
    (fault,) = refused(name, "a.yaml")
    assert str(fault.origin) == name.replace("\0", "\\0")
    assert fault.message.startswith("cannot be read: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_and_folders_without_permission_are_faults(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(document("a"))
    (tmp_path / "a.yaml").chmod(0)
    (tmp_path / "b").mkdir(mode=0)
    assert [fault.message for fault in refused(tmp_path)] == [
        "cannot be read: Permission denied"
    ] * 2


def test_a_broken_link_and_a_pipe_in_a_folder_are_faults_and_nothing_waits(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert [fault.message for fault in refused(tmp_path)] == [
        "cannot be read: No such file or directory",
        "not a regular file",
    ]


def test_a_hundred_megabytes_are_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "big.yaml").open("wb") as stream:
        stream.truncate(100 * 10**6)
    (fault,) = refused(tmp_path)
    assert fault.message == "larger than 32 MiB"


def test_a_device_that_never_ends_is_refused() -> None:
    assert [fault.message for fault in refused("/dev/zero")] == ["larger than 32 MiB"]


def test_references_are_not_missed_while_a_file_is_missing(tmp_path: Path) -> None:
    text = (
        "apiVersion: reconciler/v1\nkind: Repository\nmetadata: {name: r}\nspec: {type: quotes,"
        " filters: [elsewhere]}\n"
    )
    (tmp_path / "r.yaml").write_text(text)
    assert [fault.message for fault in refused(tmp_path, tmp_path / "absent.yaml")] == [
        "cannot be read: No such file or directory"
    ]
    assert [fault.message for fault in refused(tmp_path)] == [
        "`spec.filters[0]`: unknown Filter `elsewhere`"
    ]


def test_a_dash_reads_standard_input_and_its_paths_are_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    remote = (
        "apiVersion: reconciler/v1\nkind: Remote\nmetadata: {name: r}\nspec: {type: quotes, index:"
        " famous, tls: {ca: ca.pem}}\n"
    )
    assert read(["-"], registry(), stdin=lambda: remote.encode()).remotes["r"].tls.ca == str(
        tmp_path / "ca.pem"
    )


def test_standard_input_has_faults_and_limits_too() -> None:
    with pytest.raises(ManifestFaults, match=r"^<stdin>:1:1: expects a mapping"):
        read(["-"], registry(), stdin=lambda: b"- a")
    with pytest.raises(ManifestFaults, match=r"^<stdin>: larger than 32 MiB"):
        read(["-"], registry(), stdin=lambda: b" " * (MAX_BYTES + 1))
    with pytest.raises(UsageFault, match="standard input"):
        read(["-"], registry())
