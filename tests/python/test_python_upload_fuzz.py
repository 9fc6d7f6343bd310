"""The legacy form under fields and files that no tool sends: refused with a code, or taken."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.own_index import BEARER, TOKEN, VARIABLE, OwnIndex, own_index
from tests.support.uploading import FORM, file_part, form, text_part
from tests.support.wheels import build_sdist, build_wheel

WHEEL = build_wheel("acme-fuzz", "1.0")
SDIST = build_sdist("acme-fuzz", "1.0")
NAMES = (
    WHEEL.filename,
    SDIST.filename,
    "<script>-1.0-py3-none-any.whl",
    "acme_fuzz-1.0-py3-none-any.whl.exe",
    "acme_fuzz-1!1.0+é-py3-none-any.whl",
    "-.whl",
    ".tar.gz",
    "a" * 240 + "-1.0.tar.gz",
)
words = st.one_of(
    st.sampled_from(("", "acme-fuzz", "1.0", "1", "2", "sdist", "bdist_wheel", "<b>", "UNKNOWN")),
    st.text(max_size=30),
)
FIELDS = (
    ":action",
    "protocol_version",
    "name",
    "version",
    "filetype",
    "md5_digest",
    "sha256_digest",
    "blake2_256_digest",
    "attestations",
    "gpg_signature",
    "metadata_version",
)
fields = st.dictionaries(st.sampled_from(FIELDS), words, max_size=4)
contents = st.one_of(
    st.sampled_from((WHEEL.content, SDIST.content, b"", b"PK\5\6" + bytes(18))),
    st.builds(
        lambda at, value: WHEEL.content[:at] + bytes([value]) + WHEEL.content[at + 1 :],
        st.integers(0, len(WHEEL.content) - 1),
        st.integers(0, 255),
    ),
    st.integers(0, len(SDIST.content)).map(lambda end: SDIST.content[:end]),
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnIndex]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, TOKEN)
        with own_index(tmp_path_factory.mktemp("own")) as index:
            yield index


class TestAnyForm:
    @pytest.fixture(autouse=True)
    def _within(self, index: OwnIndex) -> None:
        self.index = index

    @settings(max_examples=25)
    @given(fields, st.sampled_from(NAMES), contents)
    @example({}, WHEEL.filename, WHEEL.content)
    @example({"sha256_digest": "another"}, SDIST.filename, SDIST.content)  # refused by the server
    @example({"name": "x\ny"}, WHEEL.filename, WHEEL.content)
    def test_is_refused_with_a_code_or_taken(
        self, chosen: dict[str, str], name: str, content: bytes
    ) -> None:
        said = {":action": "file_upload", **chosen}
        parts = [text_part(key, value) for key, value in said.items()]
        body = form(*parts, file_part(name, content, name="content"))
        headers = [BEARER, FORM, ("Accept", "application/json")]
        answer = self.index.post(body, headers=headers)
        if answer.status == 200:
            assert name in self.index.files("acme-fuzz")
            return
        assert 400 <= answer.status < 500, answer.text
        problem = json.loads(answer.body)
        assert problem["code"]
        assert problem["title"].isprintable()
        assert (problem["status"], answer.headers["content-type"]) == (
            answer.status,
            "application/problem+json",
        )
