"""`plugins/README.md`: what its snippets do with files that are sent, and with secrets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import identify
from reconciler.plugin import (
    Gone,
    PluginCallConfiguration,
    ReceivedRequest,
    Refused,
    StoredUnit,
    Unit,
    UploadedFile,
)
from reconciler.plugin.endpoints import matched_endpoints
from tests.support.conduits import stored

NOTHING = PluginCallConfiguration({}, {}, {})


@pytest.fixture
def sent(tmp_path: Path) -> UploadedFile:
    (tmp_path / "part").write_bytes(b"{}")
    return UploadedFile("invoice.json", tmp_path / "part", 2, sha256(b"{}").hexdigest())


def test_uploads_become_units_or_are_refused(guide: Any, sent: UploadedFile) -> None:
    importer, fields = guide.UploadingImporter(), {"folder": "billing", "published": "2026-01-05"}
    [(folder, unit)] = importer.upload(None, sent, fields, NOTHING)
    assert (folder, unit.key, unit.artifacts[0].sha256) == ("billing", "invoice.json", sent.sha256)
    assert unit.metadata["published"] == "2026-01-05T00:00:00+00:00"
    assert identify(unit, folder).unit == unit
    for missing, reason in (("folder", "folder's name"), ("published", "date cannot be read")):
        with pytest.raises(Refused, match=reason) as refused:
            importer.upload(
                None,
                sent,
                {name: text for name, text in fields.items() if name != missing},
                NOTHING,
            )
        assert f"the field `{missing}`" in str(refused.value.hint)
    sent.path.write_bytes(b"{")
    with pytest.raises(Refused, match="is not JSON"):
        importer.upload(None, sent, fields, NOTHING)


def test_copies_leave_drafts_and_releases_stay(guide: Any) -> None:
    draft, done = (
        stored(Unit("schemas.schema", "a.json", {"draft": draft}), "released")
        for draft in (True, False)
    )
    assert asyncio.run(guide.UploadingImporter().copy(None, "released", [draft, done])) == [done]
    with pytest.raises(Refused, match="what was released stays"):
        guide.UploadingImporter().remove(None, [done])


def a_request(
    guide: Any, method: str, path: str, *files: UploadedFile, **more: Any
) -> ReceivedRequest:
    match = matched_endpoints(guide.ReceivingPublisher.endpoints, path)[method]
    values = {"query": {}, "headers": {}, "fields": {}, **more}
    return ReceivedRequest(
        method, path, parameters=match.parameters, files=files, principal="ada", **values
    )


def test_an_ecosystems_own_upload_goes_to_the_importer(guide: Any, sent: UploadedFile) -> None:
    invoice = stored(Unit("schemas.schema", "invoice.json", {}), "billing")

    class Conduit:
        def to_importer(self, file: UploadedFile, fields: Mapping[str, str]) -> Iterator[Any]:
            return iter([(fields, file.name)])

        def units(self, group: str) -> list[StoredUnit]:
            return [invoice] if group == "billing" else []

    publisher = guide.ReceivingPublisher()
    put = a_request(
        guide, "PUT", "billing/invoice.json", sent, headers={"x-published": "2026-01-05"}
    )
    received = publisher.receive(Conduit(), put)
    assert list(received.units) == [
        ({"folder": "billing", "published": "2026-01-05"}, "invoice.json")
    ]
    assert (received.answer.status, json.loads(received.answer.body)) == (
        201,
        {"sha256": sent.sha256},
    )
    generic = a_request(guide, "POST", "upload/", sent, fields={"folder": "x"})
    assert list(publisher.receive(Conduit(), generic)) == [({"folder": "x"}, "invoice.json")]
    deleted = publisher.receive(Conduit(), a_request(guide, "DELETE", "billing/invoice.json"))
    assert (deleted.removed, deleted.answer.status) == ([invoice], 204)
    absent = a_request(guide, "DELETE", "billing/other.json")
    with pytest.raises(Gone) as gone:
        publisher.receive(Conduit(), absent)
    told = guide.ReceivingPublisher.error_answer(absent, 404, gone.value)
    assert json.loads(told.body) == {"error": "there is no `other.json` in `billing`"}
    assert guide.ReceivingPublisher.error_answer(generic, 404, gone.value) is None


def test_another_key_or_another_text_is_another_signature(guide: Any) -> None:
    moment = datetime(2026, 1, 5, tzinfo=UTC)
    signer, other = guide.CatalogueSigner("one"), guide.CatalogueSigner("other")
    assert signer.sign(b"text", moment) == guide.CatalogueSigner("one").sign(b"text", moment)
    texts = ((signer, b"text"), (other, b"text"), (signer, b"x"))
    signatures = {by.sign(text, moment) for by, text in texts}
    assert len(signatures) == 3
    assert signer.identity != other.identity
    assert "one" not in signer.identity
