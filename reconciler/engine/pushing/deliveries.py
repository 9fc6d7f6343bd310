"""One file on its way to an index: sent until it is there, and never over another one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from reconciler.engine.pushing.form_bodies import FormBody
from reconciler.engine.pushing.index_target import IndexTarget
from reconciler.errors import Refused
from reconciler.model import Digest, StoredUnit
from reconciler.plugin import UploadForm
from reconciler.redaction import sanitize
from reconciler.remote import Answer, Sender, Turns
from reconciler.retrying import RetryPolicy
from reconciler.store import Store

_LOGIN = frozenset({401, 403})


class NoAccess(Refused):
    """The index refuses the credentials, or what they may do."""


class OtherBytes(Refused):
    """A file of the same name and other bytes is there."""


class Deliveries:
    """Sends files to one index; a login that has run out meanwhile is renewed."""

    def __init__(self, target: IndexTarget, store: Store) -> None:
        self._target = target
        self._store = store
        self._sender: Sender | None = None
        self._accepted = 0  # since the login
        self._turns = Turns(target.rate_limit) if target.rate_limit is not None else None
        self._retry = RetryPolicy(attempts=1 + target.retries)

    async def deliver(
        self, unit: StoredUnit, form: UploadForm, *, counted: Callable[[int], None]
    ) -> bool:
        """Send a file; return False where it is there already.

        It is sent again after an answer that leaves open if it has arrived, unless the page of the
        index shows it by then.

        Raises:
            OtherBytes: Another file of the name is there; it stays.
            NoAccess: The credentials do not suffice.
            ReconcilerError: The file is refused, or every try failed.
        """
        digest = Digest.parse(self._target.file_of(unit).sha256)
        body = FormBody(
            form,
            partial(self._store.open, digest),
            self._store.size(digest),
            counted=counted,
        )
        tries = 0

        async def attempt() -> bool:
            nonlocal tries
            tries += 1
            if tries > 1 and await self._is_there(unit):
                return False
            return await self._send(unit, body)

        return await self._retry.run(attempt)

    async def close(self) -> None:
        """Close the connection."""
        if self._sender is not None:
            await self._sender.close()
        self._sender, self._accepted = None, 0

    async def _post(self, body: FormBody) -> Answer:
        if self._turns is not None:
            await self._turns.wait()
        if self._sender is None:
            self._sender = await self._target.sender()
        answer = await self._sender.post(self._target.location.upload, body)
        if answer.status in _LOGIN and self._accepted:  # tokens of CI last for minutes
            await self.close()
            return await self._post(body)
        self._accepted += answer.accepted
        return answer

    async def _send(self, unit: StoredUnit, body: FormBody) -> bool:
        answer = await self._post(body)
        if answer.accepted:
            return True
        meaning = self._target.exporter.answer(answer.status, answer.reason, answer.body)
        if meaning.exists:
            if await self._is_there(unit):
                return False
            raise Refused(
                f"`{unit.key}` exists there, says the index, and its page does not list it",
                hint="an index may keep the names of removed files for ever: publish another"
                " version",
            )
        said = sanitize(meaning.message, 500)
        kind = NoAccess if answer.status in _LOGIN else Refused
        raise kind(
            f"`{unit.key}` is refused ({answer.status}): {said or 'without a reason'}",
            hint=meaning.hint or None,
        )

    async def _is_there(self, unit: StoredUnit) -> bool:
        listed = await self._target.compare(unit.group, [unit], again=True)
        for difference in listed.different:
            raise OtherBytes(
                str(difference),
                hint="nothing there is overwritten: publish another version of the package",
            )
        return not listed.missing
