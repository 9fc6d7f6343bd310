"""Distributions as other indexes take them: addresses, credentials, the form, their answers."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

import msgspec
import pytest
from twine.package import PackageFile
from twine.repository import Repository

from reconciler.engine.pushing.logins import login_at
from reconciler.model import StoredArtifact, StoredUnit
from reconciler.plugin import Gone, IndexLocation, Login, Malformed, OptionFault, Refused
from reconciler_python.pushing.index_answers import meaning
from reconciler_python.pushing.index_exporter import IndexOptions, PythonExporter
from reconciler_python.pushing.index_names import locate
from tests.support import faulty
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote
from tests.support.wheels import Built, build_sdist, build_wheel

METADATA = b"""\
Metadata-Version: 2.4
Name: Acme.App_x
Version: 1.0
Summary: An app
Keywords: one,two
Author-Email: Ada <ada@example.org>
Classifier: Programming Language :: Python :: 3
Classifier: Typing :: Typed
Project-URL: Home, https://example.org/
Requires-Dist: zlib-ng>=1; python_version > "3"
Requires-Dist: other[x]; extra == "fast"
Requires-Python: >=3.8
Provides-Extra: fast
Platform: any
License-Expression: MIT
License-File: LICENSE
Description-Content-Type: text/markdown

A text, \xc3\xa4nd more.
"""


def whole_wheel() -> Built:
    """A wheel whose metadata has a field of every kind."""
    name = "acme_app_x-1.0-py2.py3-none-any.whl"
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("acme_app_x-1.0.dist-info/METADATA", METADATA)
        archive.writestr("acme_app_x-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    return Built(name, body.getvalue(), METADATA)


def unit(built: Built, **metadata: Any) -> StoredUnit:
    kind = "wheel" if built.filename.endswith(".whl") else "sdist"
    name = built.filename.split("-")[0].replace("_", "-")
    return StoredUnit(
        artifacts=[StoredArtifact(built.filename, built.sha256, len(built.content))],
        group="acme-app",
        key=built.filename,
        metadata={
            "name": name,
            "version": "1.0",
            "packageType": kind,
            **metadata,
        },
        type="python.distribution",
    )


@dataclass
class Bytes:
    """Conduit over artifacts by their sha256."""

    files: Mapping[str, bytes]

    def open(self, artifact: StoredArtifact) -> BinaryIO:
        return io.BytesIO(self.files[artifact.sha256])


@pytest.mark.parametrize("built", [whole_wheel(), build_sdist("acme-app-x", "1.0")])
def test_the_form_is_the_one_that_twine_sends(tmp_path: Path, built: Built) -> None:
    path = tmp_path / built.filename
    path.write_bytes(built.content)
    conduit = Bytes({built.sha256: built.content})
    form = PythonExporter.form(conduit, unit(built), IndexOptions())
    ours: dict[str, list[str]] = {}
    for name, value in form.fields:
        ours.setdefault(name, []).append(value)
    assert ours.pop(":action") == ["file_upload"]
    assert ours.pop("protocol_version") == ["1"]
    data: Any = PackageFile.from_filename(str(path), None).metadata_dictionary()
    theirs: dict[str, list[str]] = {}
    for name, value in Repository._convert_metadata_to_list_of_tuples(data):
        theirs.setdefault(name, []).append(value)
    assert ours == theirs
    assert (form.field, form.filename) == ("content", built.filename)
    assert form.needs == (["other", "zlib-ng"] if built.metadata == METADATA else [])


def test_attestations_go_with_the_file_that_has_them() -> None:
    built = build_wheel("acme-app", "1.0")
    provenance = msgspec.json.encode(
        {"version": 1, "attestation_bundles": [{"publisher": {}, "attestations": [{"a": 1}]}]}
    )
    plain = unit(built)
    attested = msgspec.structs.replace(
        plain,
        artifacts=[*plain.artifacts, StoredArtifact(f"{built.filename}.provenance", "ab" * 32)],
    )
    conduit = Bytes({built.sha256: built.content, "ab" * 32: provenance})
    assert (
        dict(PythonExporter.form(conduit, attested, IndexOptions()).fields)["attestations"]
        == '[{"a":1}]'
    )
    without = IndexOptions.model_validate({"attestations": False})
    assert "attestations" not in dict(PythonExporter.form(conduit, attested, without).fields)
    assert "attestations" not in dict(PythonExporter.form(conduit, plain, IndexOptions()).fields)


def test_a_file_without_metadata_is_refused() -> None:
    broken = Built("acme_app-1.0-py3-none-any.whl", b"no zip", b"")
    with pytest.raises(Refused, match="no core metadata"):
        PythonExporter.form(Bytes({broken.sha256: b"no zip"}), unit(broken), IndexOptions())


@pytest.mark.parametrize(
    ("changes", "include", "reason"),
    [
        ({}, (), None),
        ({}, ("acme-*",), None),
        ({}, ("acme-app>=2",), ""),
        ({}, ("other",), ""),
        ({"yanked": "broken"}, (), "yanked, which the upload form cannot say"),
        ({"packageType": "egg"}, (), "of type `egg`, which the upload form does not take"),
    ],
)
def test_what_is_sent_and_why_the_rest_is_not(
    changes: dict[str, str], include: tuple[str, ...], reason: str | None
) -> None:
    options = IndexOptions.model_validate({"include": include} if include else {})
    assert PythonExporter.left_out(unit(build_wheel("a", "1"), **changes), options) == reason


@pytest.mark.parametrize(
    ("status", "reason", "body", "exists", "message"),
    [
        (409, "Conflict", b"", True, "Conflict"),
        (400, "File already exists ('a.whl')", b"<p>no</p>", True, "no"),
        (400, "Bad Request", b"a.whl already exists in that form", True, ""),
        (400, "Bad Request", b"has already been taken", True, ""),
        (403, "Forbidden", b"Not enough permissions to overwrite artifact", True, ""),
        (403, "Forbidden", b'{"detail": "wrong token"}', False, "wrong token"),
        (400, "Bad Request", b"<title>x</title><h1>Invalid</h1> &lt;name&gt;", False, "Invalid"),
        (400, "Bad Request", b"{broken", False, "{broken"),
        (400, "No", b"<html><head><title>x</title><body><p>Why</p>", False, "x Why"),
        (400, "No", b"<style>p{}</style><script>s</script>Why <script>", False, "Why"),
    ],
)
def test_answers_of_indexes(
    status: int, reason: str, body: bytes, exists: bool, message: str
) -> None:
    answer = meaning(status, reason, body)
    assert answer.exists == exists
    assert message in answer.message


@pytest.mark.parametrize("piece", [b"<script ", b"<head", b"<", b"</style><style "])
def test_an_answer_of_tags_that_never_end_is_read_in_one_go(piece: bytes) -> None:
    """An index answers every file: what takes seconds for each would hold up the whole apply."""
    begin = monotonic()
    meaning(400, "Bad Request", (piece * 65_536)[:65_536])
    assert monotonic() - begin < 2, "8 s where each tag is searched to the end of the page"


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (401, b"", ".pypirc"),
        (405, b"", "pages"),
        (413, b"", "size"),
        (400, b"attestation", "false"),
    ],
)
def test_an_answer_says_what_now(status: int, body: bytes, word: str) -> None:
    assert word in meaning(status, "No", body).hint


class TestNames:
    """`name` of an index: a well-known one, or a section of the user's `.pypirc`."""

    @pytest.fixture(autouse=True)
    def user(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("HOME", str(tmp_path))
        return tmp_path / ".pypirc"

    def test_the_public_index_is_what_libraries_say(self) -> None:
        import pypi_simple
        import twine.utils

        location = locate("pypi", "", "")
        assert location.upload == twine.utils.DEFAULT_REPOSITORY
        assert location.pages == pypi_simple.PYPI_SIMPLE_ENDPOINT
        assert location.name == "pypi"

    def test_a_section_gives_address_and_credentials(self, user: Path) -> None:
        user.write_text(
            "[distutils]\nindex-servers = ours\n"
            "[ours]\nrepository = https://p.example.org/legacy/\n"
            "username = ada\npassword = l%lace\n"
        )
        location = locate("ours", "", "")
        assert location == IndexLocation(
            "https://p.example.org/legacy/", "https://p.example.org/simple/", "ours"
        )
        login = PythonExporter.login(Job(), location, IndexOptions(), name="ours")
        assert login == Login("ada", "l%lace")
        assert "lace" not in repr(login)

    @pytest.mark.parametrize("text", ["", "[other]\n", "password = s3cret\n"])
    def test_an_unknown_name_is_refused_without_a_secret(self, user: Path, text: str) -> None:
        user.write_text(text)
        with pytest.raises(OptionFault) as refused:
            locate("ours", "", "")
        assert "s3cret" not in f"{refused.value} {refused.value.hint}"

    def test_a_user_without_a_home_has_no_section(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Containers run as a number that no account has."""
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("os.getuid", lambda: 54_321)
        assert locate("pypi", "", "").name == "pypi"
        with pytest.raises(OptionFault, match="names no index"):
            locate("ours", "", "")

    def test_an_address_that_does_not_tell_its_pages_needs_them(self) -> None:
        with pytest.raises(OptionFault, match="where the index lists"):
            PythonExporter.check("", "https://p.example.org/ada/prod/", IndexOptions())
        simple = IndexOptions.model_validate({"simple": "https://p.example.org/ada/prod/+simple"})
        PythonExporter.check("", "https://p.example.org/ada/prod/", simple)
        assert simple.simple == "https://p.example.org/ada/prod/+simple/"

    def test_the_keyring_is_asked_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import keyring
        from keyring.backend import KeyringBackend

        class Ring(KeyringBackend):
            priority = 1

            def get_password(self, service: str, username: str) -> str | None:
                return f"{username} at {service}"

            def set_password(self, service: str, username: str, password: str) -> None: ...

            def delete_password(self, service: str, username: str) -> None: ...

        before = keyring.get_keyring()
        keyring.set_keyring(Ring())  # type: ignore[no-untyped-call]
        try:
            location = IndexLocation("https://p.example.org/legacy/", "", "pypi")
            login = PythonExporter.login(Job(), location, IndexOptions(), name="pypi")
        finally:
            keyring.set_keyring(before)
        assert login == Login("__token__", "__token__ at https://p.example.org/legacy/")


@dataclass
class Job:
    """Conduit of a job that answers by URL."""

    environment: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, bytes] = field(default_factory=dict)
    sending: bool = True

    def request(
        self, url: str, *, body: Mapping[str, str] | None = None, bearer: str = ""
    ) -> bytes:
        return self.answers[url]


class TestTrustedPublishing:
    """The identity of a CI job is exchanged for a token of the index, at that index alone."""

    def exchanged(self, monkeypatch: pytest.MonkeyPatch, prepare: Any, **options: str) -> Any:
        """Return the result of `login`, and the server that it asked."""

        async def main() -> tuple[Login | None, FaultyServer]:
            async with FaultyServer() as server:
                prepare(server, monkeypatch)
                location = IndexLocation(server.url("/legacy/"), server.url("/simple/"), "ours")
                login = await login_at(
                    PythonExporter,
                    remote(retries=0, index="ours", url=location.upload),
                    location,
                    options=IndexOptions.model_validate({"trustedPublishing": "always", **options}),
                    sending=True,
                )
                return login, server

        return asyncio.run(main())

    @staticmethod
    def github(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GITLAB_CI", raising=False)
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", server.url("/id?v=1"))
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-t0ken")
        json = "application/json"
        server.on("/_/oidc/audience", faulty.body(b'{"audience": "ours"}', content_type=json))
        server.on("/id?v=1&audience=ours", faulty.body(b'{"value": "a.jwt"}', content_type=json))
        server.on("/_/oidc/mint-token", faulty.body(b'{"token": "m1nted"}', content_type=json))

    def test_github(self, monkeypatch: pytest.MonkeyPatch) -> None:
        login, server = self.exchanged(monkeypatch, self.github)
        assert login == Login("__token__", "m1nted")
        sent = [
            (each.method, each.path, each.headers.get("authorization")) for each in server.requests
        ]
        assert sent == [
            ("GET", "/_/oidc/audience", None),
            ("GET", "/id?v=1&audience=ours", "Bearer request-t0ken"),
            ("POST", "/_/oidc/mint-token", None),
        ]

    def test_gitlab(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def job(server: FaultyServer, patch: pytest.MonkeyPatch) -> None:
            self.github(server, patch)
            patch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL")
            patch.setenv("GITLAB_CI", "true")
            patch.setenv("OURS_ID_TOKEN", "a.jwt")

        login, server = self.exchanged(monkeypatch, job)
        assert login == Login("__token__", "m1nted")
        assert [each.path for each in server.requests] == ["/_/oidc/audience", "/_/oidc/mint-token"]

    def test_an_index_that_does_not_trust_the_job_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def job(server: FaultyServer, patch: pytest.MonkeyPatch) -> None:
            self.github(server, patch)
            server.on("/_/oidc/mint-token", faulty.status(422))

        with pytest.raises(Refused, match=r"gives no token to this CI job.* answered 422"):
            self.exchanged(monkeypatch, job)

    def test_where_nothing_asks_for_it_an_index_may_not_know_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A job may have an identity for another index; the keyring is next."""

        def job(server: FaultyServer, patch: pytest.MonkeyPatch) -> None:
            patch.setenv("HOME", str(tmp_path))
            patch.setattr(
                "keyring.get_credential", lambda url, user: Login("ada", "kept-in-the-ring")
            )
            self.github(server, patch)
            server.on("/_/oidc/audience", faulty.status(404))

        login, _ = self.exchanged(monkeypatch, job, trustedPublishing="auto")
        assert login == Login("ada", "kept-in-the-ring")
        with pytest.raises(Gone):
            self.exchanged(monkeypatch, job)

    def test_something_else_than_a_token_is_malformed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def job(server: FaultyServer, patch: pytest.MonkeyPatch) -> None:
            self.github(server, patch)
            server.on("/_/oidc/audience", faulty.body(b"<html>"))

        with pytest.raises(Malformed, match="something else"):
            self.exchanged(monkeypatch, job)

    def test_outside_of_a_job_it_is_an_error_where_it_is_asked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def job(server: FaultyServer, patch: pytest.MonkeyPatch) -> None:
            self.github(server, patch)
            patch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL")

        with pytest.raises(Exception, match="no CI job with an identity"):
            self.exchanged(monkeypatch, job)

    def test_a_plan_exchanges_nothing(self) -> None:
        job = Job({"ACTIONS_ID_TOKEN_REQUEST_URL": "https://ci.example.org/"}, sending=False)
        location = IndexLocation("https://p.example.org/legacy/", "", "ours")
        always = IndexOptions.model_validate({"trustedPublishing": "always"})
        assert PythonExporter.login(job, location, always, name="") is None
