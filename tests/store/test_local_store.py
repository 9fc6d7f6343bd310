"""LocalStore: the conformance suite, and what only files can do."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import StateFault
from reconciler.model import Digest
from reconciler.store import LocalStore, Store
from reconciler.store.durability import syncfs
from reconciler.store.temporary_trees import TemporaryTree, sweep_trees
from tests.conformance.store_suite import DIGEST, HELLO, StoreConformance


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


class TestLocalStore(StoreConformance):
    def make(self, folder: Path) -> Store:
        return LocalStore(folder)


class TestLocalStoreWithoutSyncfs(StoreConformance):
    def make(self, folder: Path) -> Store:
        return LocalStore(folder, flush=None)


def damage(store: LocalStore, data: bytes) -> Path:
    """Write other bytes where the store keeps HELLO; return the path."""
    path = store.path(DIGEST)
    path.chmod(0o644)
    path.write_bytes(data)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_nothing_is_created_before_something_is_written(root: Path) -> None:
    store = LocalStore(root)
    store.has(DIGEST)
    store.verify(DIGEST)
    store.sync()
    store.sweep()
    store.incoming().discard()
    assert not root.exists()


def test_a_file_lies_under_two_digits_of_its_digest_and_is_read_only(root: Path) -> None:
    LocalStore(root).put(HELLO, DIGEST)
    name = DIGEST.hex
    assert files(root) == [f"sha256/{name[:2]}/{name[2:]}"]
    assert (root / "sha256" / name[:2] / name[2:]).stat().st_mode & 0o333 == 0


def test_an_existing_file_stays_and_counts_as_used(root: Path) -> None:
    store = LocalStore(root)
    store.put(HELLO, DIGEST)
    os.utime(store.path(DIGEST), (0, 0))
    before = store.path(DIGEST).stat()
    store.put(HELLO, DIGEST)
    after = store.path(DIGEST).stat()
    assert (before.st_ino, 0) == (after.st_ino, before.st_mtime_ns)
    assert after.st_mtime_ns > 0


def test_a_file_of_another_size_is_put_again(root: Path) -> None:
    """Bytes that are relied on are looked at: what a power cut truncated is not what was kept."""
    store = LocalStore(root)
    store.put(HELLO, DIGEST)
    damage(store, HELLO[:2])
    store.put(HELLO, DIGEST)
    assert store.verify(DIGEST)


def test_verify_sets_aside_bytes_that_changed_and_they_can_be_put_again(root: Path) -> None:
    store = LocalStore(root)
    store.put(HELLO, DIGEST)
    path = damage(store, b"hellO")
    assert not store.verify(DIGEST)
    assert not path.exists()
    assert (root / "damaged" / DIGEST.hex).read_bytes() == b"hellO"
    store.put(HELLO, DIGEST)
    assert store.verify(DIGEST)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_under_a_digest_is_missing_and_can_be_put_again(
    root: Path, make: Callable[[Path], None]
) -> None:
    """Kind: damage of the store is noticed and mended, whatever has taken the place of a file."""
    store = LocalStore(root)
    store.put(HELLO, DIGEST)
    path = store.path(DIGEST)
    path.unlink()
    make(path)
    assert not store.has(DIGEST)
    assert store.claim(DIGEST) is None
    assert not store.verify(DIGEST)
    with pytest.raises(StateFault):
        store.open(DIGEST)
    store.put(HELLO, DIGEST)
    assert store.verify(DIGEST)
    store.remove_damaged(time.time() + 60)
    assert list(root.glob("damaged/*")) == []


def test_a_file_in_the_place_of_a_folder_is_set_aside(root: Path) -> None:
    """Kind: damage of the store is noticed and mended, whatever form it takes."""
    store = LocalStore(root)
    store.put(HELLO, DIGEST)
    folder = store.path(DIGEST).parent
    shutil.rmtree(folder)
    folder.write_bytes(b"")
    assert store.claim(DIGEST) is None
    assert not store.verify(DIGEST)
    with pytest.raises(StateFault, match="holds no bytes"):
        store.open(DIGEST)
    store.put(HELLO, DIGEST)
    assert store.verify(DIGEST)


def test_right_bytes_that_were_put_while_the_damaged_ones_were_read_stay(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(root)
    store.put(HELLO, DIGEST)
    path = damage(store, b"hellO")
    read = hashlib.file_digest

    def read_slowly(*arguments: Any) -> Any:
        result = read(*arguments)
        path.unlink()
        LocalStore(root).put(HELLO, DIGEST)
        return result

    monkeypatch.setattr(hashlib, "file_digest", read_slowly)
    assert not store.verify(DIGEST), "it was damaged when it was read"
    monkeypatch.undo()
    assert store.verify(DIGEST)
    assert list((root / "damaged").iterdir()) == []


def test_only_bytes_that_were_not_used_since_are_removed(root: Path) -> None:
    store = LocalStore(root)
    store.put(HELLO, DIGEST)
    os.utime(store.path(DIGEST), (100, 100))
    assert [(file.digest, file.size, file.used_at) for file in store.files()] == [(DIGEST, 5, 100)]
    assert not store.remove(DIGEST, unused_since=99)
    assert store.has(DIGEST), "used at 100"
    assert store.claim(DIGEST) == len(HELLO)
    assert not store.remove(DIGEST, unused_since=101)
    assert store.verify(DIGEST), "claimed meanwhile"
    assert store.remove(DIGEST, unused_since=time.time() + 1)
    assert not store.has(DIGEST)
    assert store.claim(DIGEST) is None
    assert not store.remove(DIGEST, unused_since=time.time() + 1)


def test_damaged_bytes_are_kept_for_a_while(root: Path) -> None:
    store = LocalStore(root)
    store.put(HELLO, DIGEST)
    damage(store, b"hellO")
    store.verify(DIGEST)
    assert store.remove_damaged(time.time() - 60) == (0, 0)
    assert store.remove_damaged(time.time() + 60, dry_run=True) == (1, 5)
    assert store.remove_damaged(time.time() + 60) == (1, 5)
    assert list((root / "damaged").iterdir()) == []


def test_incoming_holds_nothing_after_keep_mismatch_and_discard(root: Path) -> None:
    store = LocalStore(root)
    for expected in (DIGEST, Digest.of(b"other")):
        incoming = store.incoming()
        incoming.write(HELLO)
        if expected == DIGEST:
            incoming.keep(expected)
        else:
            incoming.discard()
    assert [name for name in files(root) if name.startswith("incoming")] == []


def test_sync_flushes_the_file_system_of_the_root(root: Path) -> None:
    flushed: list[str] = []
    store = LocalStore(root, flush=flushed.append)
    store.sync()
    assert flushed == []
    store.put(HELLO, DIGEST)
    store.sync()
    assert flushed == [str(root)]


def test_without_syncfs_each_kept_and_each_found_file_is_flushed_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalStore(root).put(HELLO, DIGEST)
    store = LocalStore(root, flush=None)
    flushed: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    store.put(HELLO, DIGEST)
    incoming = store.incoming()
    incoming.write(b"other")
    incoming.keep(Digest.of(b"other"))
    store.sync()
    existing, kept = store.path(DIGEST), store.path(Digest.of(b"other"))
    assert set(flushed) >= {
        str(existing),
        str(kept),
        str(existing.parent),
        str(kept.parent),
        str(root),
    }
    flushed.clear()
    store.sync()
    assert str(existing) not in flushed


@pytest.mark.skipif(syncfs is None, reason="this system has no syncfs")
def test_syncfs_says_why_it_failed(tmp_path: Path) -> None:
    assert syncfs is not None
    with pytest.raises(FileNotFoundError):
        syncfs(str(tmp_path / "nowhere"))


def test_a_full_disk_is_named_and_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(root)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("reconciler.store.temporary.os.write", full)
    with pytest.raises(StateFault, match="No space left") as caught:
        store.put(HELLO, DIGEST)
    assert caught.value.hint is not None
    assert "space" in caught.value.hint
    incoming = store.incoming()
    with pytest.raises(StateFault, match="No space left"):
        incoming.write(HELLO)
    assert files(root) == []


def test_short_writes_are_continued(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(
        "reconciler.store.temporary.os.write", lambda descriptor, data: write(descriptor, data[:2])
    )
    store = LocalStore(root)
    store.put(HELLO, DIGEST)
    assert store.verify(DIGEST)


LEAVE_ONE = """
import os, sys
from pathlib import Path
from reconciler.store import LocalStore
LocalStore(Path(sys.argv[1])).incoming().write(b"half")
os._exit(9)
"""


@pytest.fixture
def leftover(root: Path) -> str:
    """Create what a process leaves that died in the middle of a write."""
    assert subprocess.run([sys.executable, "-c", LEAVE_ONE, str(root)], check=False).returncode == 9
    (name,) = files(root)
    return name


def test_sweep_removes_what_dead_processes_left_and_nothing_else(root: Path, leftover: str) -> None:
    store = LocalStore(root)
    mine = store.incoming()
    mine.write(HELLO)
    foreign = root / "incoming" / "notes.txt"
    foreign.write_bytes(b"mine")
    assert store.sweep() == 1
    assert leftover not in files(root)
    assert foreign.exists()
    mine.keep(DIGEST)
    assert store.verify(DIGEST)


def test_sweep_knows_an_earlier_process_that_had_our_pid(root: Path, leftover: str) -> None:
    host, _, start, random, number = Path(leftover).name.rsplit("~", 4)
    earlier = root / "incoming" / f"{host}~{os.getpid()}~{start}~{random}~{number}"
    (root / leftover).rename(earlier)
    assert LocalStore(root).sweep() == 1
    assert not earlier.exists()


@pytest.mark.parametrize("start", ["another boot,1,2", "0badc0de"], ids=["boot", "older release"])
def test_sweep_removes_what_another_host_name_left_after_a_day_unless_it_is_locked(
    root: Path, leftover: str, start: str
) -> None:
    """A container has another host name after each start: its leftovers must not stay for ever."""
    file = root / "incoming" / f"gone-container~1~{start}~1"
    (root / leftover).rename(file)
    store = LocalStore(root)
    assert store.sweep() == 0, "it may be in use"
    a_day_ago = time.time() - 25 * 3600
    os.utime(file, (a_day_ago, a_day_ago))
    file.chmod(0o644)
    with file.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert store.sweep() == 0, "it is in use"
    assert store.sweep() == 1
    assert not file.exists()


def test_a_file_that_is_being_written_is_locked(root: Path) -> None:
    mine = LocalStore(root).incoming()
    mine.write(HELLO)
    (name,) = files(root)
    with (root / name).open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    mine.discard()


LEAVE_TREE = """
import os, sys
from reconciler.store.temporary_trees import TemporaryTree
tree = TemporaryTree()
(tree.path / "large").write_bytes(b"half a download")
print(tree.path, flush=True)
os._exit(9)
"""


def test_folders_of_killed_processes_are_swept_and_those_of_running_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that a plan measures may be large, and lie outside of the state."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    left = subprocess.run([sys.executable, "-c", LEAVE_TREE], stdout=subprocess.PIPE, check=False)
    mine = TemporaryTree()
    foreign = tmp_path / "reconciler-notes"
    foreign.mkdir()
    assert Path(left.stdout.decode().strip()).exists()
    assert sweep_trees() == 1
    assert sorted(tmp_path.iterdir()) == sorted([mine.path, foreign])
    mine.close()
    mine.close()
    assert list(tmp_path.iterdir()) == [foreign]
