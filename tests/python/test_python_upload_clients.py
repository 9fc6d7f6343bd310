"""Requests of real clients, recorded from them: each is taken as it stands.

`upload_requests/` holds a request of each, byte for byte but for the path and the credentials. How
to record one of a newer release: let the client publish to a socket that keeps what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.own_index import BEARER, TOKEN, VARIABLE, OwnIndex, own_index

RECORDED = Path(__file__).with_name("upload_requests")
SENT = {  # uv sends the wheel that hatch has sent before
    "flit": "acme_flit-1.0.tar.gz",
    "hatch": "acme_hatch-1.0-py3-none-any.whl",
    "pdm": "acme_pdm-1.0-py3-none-any.whl",
    "poetry": "acme_poetry-1.0-py3-none-any.whl",
    "twine-6": "acme_poetry-1.0.tar.gz",
    "twine-7": "acme_hatch-1.0.tar.gz",
    "uv": "acme_hatch-1.0-py3-none-any.whl",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnIndex]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, TOKEN)
        with own_index(tmp_path_factory.mktemp("own")) as index:
            yield index


def test_every_client_has_its_request() -> None:
    assert sorted(path.stem for path in RECORDED.iterdir()) == sorted(SENT)


@pytest.mark.parametrize("client", sorted(SENT))
def test_a_recorded_request_is_taken_and_shown(index: OwnIndex, client: str) -> None:
    head, _, body = (RECORDED / f"{client}.http").read_bytes().partition(b"\r\n\r\n")
    _, *lines = head.decode("ascii").split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    half = len(body) // 2
    answer = index.post(body[:half], body[half:], headers=[BEARER, *headers])
    assert (answer.status, answer.text) == (200, f"`{SENT[client]}` is published\n")
    file = index.files(SENT[client].partition("-")[0].replace("_", "-"))[SENT[client]]
    assert file["requires-python"] == ">=3.9"
    assert index.get(f"/own/simple/{file['url']}".replace("simple/../../", "")).status == 200


def test_the_address_that_hatch_prints_leads_to_the_project(index: OwnIndex) -> None:
    answer = index.get("/own/legacy/acme-hatch/1.0/")
    assert (answer.status, answer.headers["location"]) == (301, "../../../simple/acme-hatch/")
