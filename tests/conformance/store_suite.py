"""What every store must do. A new implementation subclasses `StoreConformance` and returns an empty
store from `make`.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from reconciler.errors import DigestMismatch, StateFault
from reconciler.model import Digest
from reconciler.store import Store

HELLO = b"hello"
DIGEST = Digest.of(HELLO)
OTHER = Digest.of(b"other")


class StoreConformance:
    """The contract of `reconciler.store.Store`, test by test."""

    def make(self, folder: Path) -> Store:
        """An empty store that may use `folder`."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return self.make(tmp_path / "store")

    def test_what_was_put_can_be_read(self, store: Store) -> None:
        store.put(HELLO, DIGEST)
        assert store.has(DIGEST)
        assert store.size(DIGEST) == len(HELLO)
        with store.open(DIGEST) as file:
            assert file.read() == HELLO

    def test_nothing_is_there_before_it_was_put(self, store: Store) -> None:
        assert not store.has(DIGEST)
        assert not store.verify(DIGEST)

    @pytest.mark.parametrize("question", ["size", "open", "path"])
    def test_missing_bytes_are_a_state_fault_that_names_the_digest(
        self, store: Store, question: str
    ) -> None:
        with pytest.raises(StateFault, match=DIGEST.hex):
            getattr(store, question)(DIGEST)

    def test_put_refuses_other_bytes_and_keeps_nothing(self, store: Store) -> None:
        with pytest.raises(DigestMismatch) as caught:
            store.put(HELLO, OTHER)
        assert OTHER.hex in str(caught.value)
        assert DIGEST.hex in str(caught.value)
        assert not store.has(OTHER)
        assert not store.has(DIGEST)

    def test_put_refuses_other_bytes_also_where_the_digest_is_there(self, store: Store) -> None:
        store.put(HELLO, DIGEST)
        with pytest.raises(DigestMismatch):
            store.put(b"other", DIGEST)

    def test_putting_twice_changes_nothing(self, store: Store) -> None:
        store.put(HELLO, DIGEST)
        store.put(HELLO, DIGEST)
        assert store.verify(DIGEST)

    def test_no_bytes_at_all_are_bytes(self, store: Store) -> None:
        store.put(b"", Digest.of(b""))
        assert store.size(Digest.of(b"")) == 0
        incoming = store.incoming()
        incoming.keep(Digest.of(b""))
        assert store.verify(Digest.of(b""))

    def test_incoming_bytes_are_invisible_until_they_are_kept(self, store: Store) -> None:
        incoming = store.incoming()
        incoming.write(HELLO[:2])
        incoming.write(HELLO[2:])
        assert (incoming.size, incoming.digest) == (len(HELLO), DIGEST)
        assert not store.has(DIGEST)
        incoming.keep(DIGEST)
        with store.open(DIGEST) as file:
            assert file.read() == HELLO

    def test_keep_refuses_another_digest_and_keeps_nothing(self, store: Store) -> None:
        incoming = store.incoming()
        incoming.write(HELLO)
        with pytest.raises(DigestMismatch, match=OTHER.hex):
            incoming.keep(OTHER)
        assert not store.has(DIGEST)
        assert not store.has(OTHER)

    def test_discarded_bytes_never_appear(self, store: Store) -> None:
        incoming = store.incoming()
        incoming.write(HELLO)
        incoming.discard()
        incoming.discard()
        assert not store.has(DIGEST)
        with pytest.raises(ValueError, match="discarded"):
            incoming.write(HELLO)
        with pytest.raises(ValueError, match="discarded"):
            incoming.keep(DIGEST)

    def test_discarding_after_keeping_takes_nothing_away(self, store: Store) -> None:
        incoming = store.incoming()
        incoming.write(HELLO)
        incoming.keep(DIGEST)
        incoming.discard()
        assert store.verify(DIGEST)

    def test_two_can_bring_the_same_bytes(self, store: Store) -> None:
        first, second = store.incoming(), store.incoming()
        first.write(HELLO)
        second.write(HELLO)
        first.keep(DIGEST)
        second.keep(DIGEST)
        assert store.verify(DIGEST)

    def test_path_is_a_file_with_the_bytes_or_none(self, store: Store) -> None:
        store.put(HELLO, DIGEST)
        path = store.path(DIGEST)
        assert path is None or path.read_bytes() == HELLO

    def test_sync_works_before_and_after_writing(self, store: Store) -> None:
        store.sync()
        store.put(HELLO, DIGEST)
        store.sync()
        assert store.verify(DIGEST)

    def test_many_threads_may_put_at_once(self, store: Store) -> None:
        bodies = [bytes([number]) * 1000 for number in range(64)]

        def put_all() -> None:
            for body in bodies:
                store.put(body, Digest.of(body))

        threads = [threading.Thread(target=put_all) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(store.verify(Digest.of(body)) for body in bodies)
