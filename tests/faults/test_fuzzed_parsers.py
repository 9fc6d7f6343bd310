"""Every parser and decompressor that a stranger feeds: whatever comes, it answers soon.

Each gets texts of its own format with something wrong, repeated, cut or nested; it gives a result,
or the error that its callers expect, within seconds of CPU. `make soak` tries many more.
"""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import json
import lzma
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import Fault, ReconcilerError
from reconciler.manifest.document import ManifestText, Unreadable, documents
from reconciler.model import Page
from reconciler.plugin import Group, Malformed, OptionFault, Unchanged
from reconciler.redaction import sanitize
from reconciler.remote.charsets import charset_of
from reconciler.remote.page_budget import PageBudget
from reconciler.remote.ranges import parse_content_range
from reconciler.remote.responses import seconds_until, whole_body
from reconciler.serve.upload_form import UploadForm, boundary_of
from reconciler.store.temporary import TemporaryFolder
from reconciler_file.file_importer import FileImporter
from reconciler_file.globs import Globs, checked_glob
from reconciler_file.options import SourceOptions
from reconciler_python.evidence.osv_dump import open_dump
from reconciler_python.evidence.provenance import provenance_facts
from reconciler_python.matching.python_versions import Interpreters
from reconciler_python.matching.rules import Rules
from reconciler_python.reading.archives import UnreadableArchive, wheel_metadata
from reconciler_python.reading.core_metadata import UnreadableMetadata, read_dependencies
from reconciler_python.reading.media_types import read_list, read_project
from reconciler_python.reading.sdists import sdist_metadata
from reconciler_python.reading.units import project_units
from reconciler_python.requirements.lock_files import read_lock
from reconciler_python.requirements.requirement_files import read_requirements
from tests.support.conduits import FakeConduit, page
from tests.support.uploading import BOUNDARY, file_part, form, text_part

JSON = "application/vnd.pypi.simple.v1+json"
SHA = "a" * 64
LONGEST = 3.0  # seconds of CPU for at most 20 KB
MOST = 20_000  # bytes

INFO = b"Metadata-Version: 2.1\nName: foo\nVersion: 1\nRequires-Dist: bar[x]>=1; extra == 'y'\n\nx"


def wheel() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("foo-1.0.dist-info/METADATA", INFO)
    return out.getvalue()


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("foo-1.0/" + "x" * 120 + "/PKG-INFO")
        entry.size = len(INFO)
        archive.addfile(entry, io.BytesIO(INFO))
    return out.getvalue()


FILE = {
    "filename": "foo-1.0.tar.gz",
    "url": "../a b/foo-1.0.tar.gz",
    "hashes": {"sha256": SHA},
    "requires-python": ">=3",
    "size": 7,
    "yanked": "why",
    "core-metadata": {"sha256": SHA},
    "x": [{}],
}
PAGE = {"meta": {"api-version": "1.1"}, "name": "foo", "files": [FILE, None], "y": {"z": 1.5}}
HTML = (
    b"<!DOCTYPE html><html><head><meta charset=latin-1><base href='/x/'><title>Links for</title>"
    b"<body><pre><a href='foo-1.0.tar.gz#sha256=" + SHA.encode() + b"' data-yanked=''>foo</a>"
    b" 12:30<br><a href='b/'>b/</a><!-- x --><script>1</script>"
)
UV = b"""version = 1
[[package]]
name = "foo"
version = "1.0"
source = { registry = "https://example.org/simple" }
resolution-markers = ["python_version < '3.9'"]
wheels = [{ url = "https://f.example.org/foo-1.0-py3-none-any.whl", hash = "sha256:%s" }]
""" % SHA.encode()
PIPFILE = json.dumps(
    {
        "_meta": {"pipfile-spec": 6},
        "default": {"foo": {"hashes": [f"sha256:{SHA}"], "sys_platform": "== 'x'"}},
    }
).encode()
OSV = json.dumps(
    {
        "id": "MAL-1",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "foo"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}],
                "versions": ["1.0"],
            }
        ],
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    }
).encode()
PROVENANCE = json.dumps(
    {
        "version": 1,
        "attestation_bundles": [
            {
                "publisher": {"kind": "GitHub", "repository": "a/b", "workflow": "c"},
                "attestations": [
                    {
                        "version": 1,
                        "verification_material": {"certificate": "", "transparency_entries": []},
                        "envelope": {"statement": "e30=", "signature": ""},
                    }
                ],
            }
        ],
    }
).encode()
MANIFEST = (
    b"apiVersion: reconciler/v1\nkind: Remote\nmetadata: {name: &a up}\nspec: [*a, 'x', |\n  y]\n"
)
REQUIREMENTS = b"foo[x]>=1,<2 ; python_version < '3.9' --hash=sha256:%s \\\n # x\n-r other\n" % (
    SHA.encode()
)
PULP = b"a/b.iso,%s,12\n./c d,%s,0\n" % (SHA.encode(), SHA.encode())
URLS = b"https://example.org/a%%20b?x sha256=%s size=12\n%s  *x/y\n" % (SHA.encode(), SHA.encode())
FORM = form(text_part("sha256", SHA), file_part("foo.whl", b"bytes"), text_part("x", "y"))


def read_page(body: bytes, media_type: str, charset: str) -> None:
    for read in (lambda given: _units(read_project(given), given), read_list):
        _expect(Malformed, read, Page("http://example.org/foo/", body, "v", media_type, charset))


def _units(document: object, given: Page) -> None:
    project_units("foo", document, given.url, refuse=lambda key, reason: None)  # type: ignore[arg-type]


def read_html(body: bytes) -> None:
    label = body[:12].decode("latin-1")
    for charset in ("utf-8", charset_of(label), "utf-16"):
        read_page(body, "text/html", charset)


def read_listing(body: bytes) -> None:
    _read_files("folder", body, "text/html")


def _read_files(format: str, body: bytes, media_type: str = "text/plain") -> None:
    url = "https://files.example.org/pool/"
    options = SourceOptions.model_validate({"format": format})
    call = FakeConduit({"": page(body, media_type, url=url)}, options, url=url)

    async def main() -> None:
        async for group in FileImporter().declare(call):
            if isinstance(group, Group):
                list(await FileImporter().read(call, group))
            assert not isinstance(group, Unchanged)

    _expect(ReconcilerError, lambda: asyncio.run(main()))


def read_sdist(body: bytes) -> None:
    for ending in (".tar.gz", ".tar.bz2", ".tar.xz", ".tar", ".zip"):
        _expect(UnreadableArchive, sdist_metadata, io.BytesIO(body), f"foo-1.0{ending}")


class Nowhere:
    """The files and variables of a requirements file."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, path: Path) -> bytes:
        if path != Path("/x/requirements.txt"):
            raise OptionFault("there is no such file")
        return self._body

    def variable(self, name: str) -> str | None:
        return "x" if name == "X" else None


def read_requirement_file(body: bytes) -> None:
    path = Path("/x/requirements.txt")
    _expect(OptionFault, lambda: read_requirements("r.txt", path, Nowhere(body), skip=True))


def read_locks(body: bytes) -> None:
    for format in ("pylock", "uv", "poetry", "pdm", "pipenv"):
        _expect(OptionFault, read_lock, format, "x.lock", body)


def read_manifest(body: bytes) -> None:
    faults: list[Fault] = []
    text = ManifestText("x.yaml", "/x", body.decode("utf-8", "replace"))
    _expect(Unreadable, lambda: list(documents(text, faults)))


def read_form(body: bytes) -> None:
    _expect(ReconcilerError, boundary_of, body[:200].decode("latin-1"))
    with tempfile.TemporaryDirectory() as folder:
        parser = UploadForm(BOUNDARY.encode(), TemporaryFolder(folder))
        try:
            for start in range(0, len(body), 997):
                parser.write(body[start : start + 997])
            parser.finish()
        except ReconcilerError:
            pass
        finally:
            parser.discard()


def read_osv(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dump").mkdir()
        (Path(folder) / "dump" / "a.json").write_bytes(body)
        packed = Path(folder) / "all.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.json", OSV)
        broken = bytearray(packed.read_bytes())
        broken[len(broken) // 3 : len(broken) // 3 + len(body[:9])] = body[:9]
        packed.write_bytes(broken)
        for path in (Path(folder) / "dump", packed):
            _expect(Malformed, _severities, path)


def _severities(path: Path) -> None:
    dump = open_dump(path, "dump")
    for advisory in dump.affecting("foo", "1.0"):
        dump.severity(advisory)


def unpack(body: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 4096):
            yield body[start : start + 4096]

    async def main(encoding: str) -> None:
        with PageBudget(8 << 20).lease():
            await whole_body(chunks(), encoding, 4 << 20, url="http://example.org/")

    for encoding in ("gzip", "deflate", "identity"):
        _expect(ReconcilerError, lambda encoding=encoding: asyncio.run(main(encoding)))


def read_headers(body: bytes) -> None:
    text = body.decode("latin-1")
    charset_of(text)
    seconds_until(text)
    parse_content_range({"content-range": text})
    sanitize(text)


def match_patterns(body: bytes) -> None:
    """Globs of a manifest against names of upstream, and specifiers of upstream."""
    text = body.decode("latin-1")[:2_000]
    _expect(OptionFault, _match_globs, text)
    _expect(OptionFault, lambda: Rules((text,)).whole_project("a" * 250))
    Interpreters(("3.11", ">=3.12")).find(text)


def _match_globs(text: str) -> None:
    Globs([checked_glob(text)]).find("a/" * 500 + "a" * 240)


def _expect(kind: type[Exception], call: Callable[..., object], *arguments: object) -> None:
    with suppress(kind):
        call(*arguments)


PARSERS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "HTML page": (read_html, [HTML]),
    "JSON page": (lambda body: read_page(body, JSON, "utf-8"), [json.dumps(PAGE).encode()]),
    "folder listing": (read_listing, [HTML]),
    "PULP_MANIFEST": (lambda body: _read_files("manifest", body), [PULP]),
    "list of URLs": (lambda body: _read_files("urls", body), [URLS]),
    "core metadata": (
        lambda body: _expect(UnreadableMetadata, read_dependencies, body),
        [INFO, b"Requires-Dist: a" + b"(" * 50],
    ),
    "wheel": (lambda body: wheel_metadata(io.BytesIO(body), "foo"), [wheel()]),
    "sdist": (
        read_sdist,
        [tar(), gzip.compress(tar()), bz2.compress(tar()), lzma.compress(tar()), wheel()],
    ),
    "lock file": (read_locks, [UV, PIPFILE]),
    "requirements file": (read_requirement_file, [REQUIREMENTS]),
    "YAML manifest": (read_manifest, [MANIFEST]),
    "upload form": (read_form, [FORM]),
    "OSV dump": (read_osv, [OSV]),
    "attestation": (
        lambda body: provenance_facts(body, "foo.whl", SHA, verify=False),
        [PROVENANCE, PROVENANCE.replace(b"e30=", "\xe9".encode())],
    ),
    "compressed body": (unpack, [gzip.compress(INFO), zlib.compress(INFO), gzip.compress(b"")]),
    "pattern": (match_patterns, [b"*a*b", b"**/a/[!b]*", b"acme-*", b">=3.8,!=3.9.*"]),
    "header": (read_headers, [b"bytes 0-1/2", b"utf-8", b"120", b"9" * 5000]),
}


def spoilt(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Texts of a format with something wrong: repeated, cut, spliced, overwritten."""
    pieces = st.sampled_from(seeds).flatmap(
        lambda seed: st.tuples(st.integers(0, len(seed)), st.integers(0, 60)).map(
            lambda cut: seed[cut[0] : cut[0] + cut[1]]
        )
    )
    piece = st.one_of(
        pieces,
        st.binary(max_size=12),
        st.sampled_from([b"[", b"(", b"{", b"<b>", b"../", b"0", b"*"]),
    )
    repeated = st.tuples(piece, st.sampled_from([1, 2, 30, MOST])).map(
        lambda both: (both[0] * both[1])[:MOST]
    )

    def splice(parts: tuple[bytes, int, bytes, int]) -> bytes:
        seed, at, between, skipped = parts
        return (seed[:at] + between + seed[at + skipped :])[: MOST + 2_000]

    spliced = st.sampled_from(seeds).flatmap(
        lambda seed: st.tuples(
            st.just(seed), st.integers(0, len(seed)), repeated, st.integers(0, 9)
        )
    )
    whole = st.tuples(st.sampled_from(seeds), st.sampled_from([1, 3, 100])).map(
        lambda both: (both[0] * both[1])[:MOST]
    )
    several = st.lists(repeated, max_size=4).map(b"".join)
    return st.one_of(spliced.map(splice), repeated, whole, several)


@pytest.mark.parametrize("format", PARSERS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_parser_of_foreign_bytes_answers_soon_whatever_comes(
    format: str, data: st.DataObject
) -> None:
    parse, seeds = PARSERS[format]
    body = data.draw(spoilt(seeds))
    start = time.process_time()
    parse(body)
    assert time.process_time() - start < LONGEST


@pytest.mark.parametrize("format", PARSERS)
def test_the_formats_themselves_can_be_read(format: str) -> None:
    parse, seeds = PARSERS[format]
    for seed in seeds:
        parse(seed)
