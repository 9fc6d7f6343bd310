"""Archives: which index is read, how it is unpacked, and what becomes of its paragraphs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from hashlib import sha512

import pytest

from reconciler.plugin import Malformed, Refused, Unit
from reconciler_deb.control.compression import unpack
from reconciler_deb.reading.index_files import flat_indexes, index_urls, wanted_indexes
from reconciler_deb.reading.listings import Entry, Listing, entries_digest
from reconciler_deb.reading.suite_names import suite_folder, unit_suite
from reconciler_deb.reading.units import PACKAGE, SOURCE_PACKAGE, fetch_url, listed_units
from reconciler_deb.releases.release_file import Release, parse_release
from tests.support.apt import control, paragraph, release_text

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BASE = "https://deb.example.org/debian/"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
}
AMD64, ALL, SOURCES = (
    "main/binary-amd64/Packages",
    "main/binary-all/Packages",
    "main/source/Sources",
)


def release(*paths: str, architectures: str = "amd64", body: bytes = b"x") -> Release:
    return parse_release(
        release_text(
            dict.fromkeys(paths, body), Architectures=architectures, Components="main contrib"
        )
    )


def units(*entries: Entry, name: str = "nginx") -> tuple[list[Unit], dict[str, str]]:
    refused: dict[str, str] = {}
    return listed_units(name, entries, BASE, refuse=refused.__setitem__), refused


def entry(text: str, *, suite: str = "stable", architecture: str = "amd64") -> Entry:
    return Entry(suite, "main", architecture, text.strip("\n").encode())


def binary(name: str = "nginx", version: str = "1.0", architecture: str = "amd64") -> str:
    path = f"pool/{name}_{version}_{architecture}.deb"
    return paragraph(control(name, version, architecture), b"deb", path)


@pytest.mark.parametrize("ending", PACKERS)
def test_each_compression_is_unpacked_within_its_limit(ending: str) -> None:
    body = b"Package: x\n" * 1000
    packed = PACKERS[ending](body)
    assert unpack(packed, ending, limit=len(body)) == body
    with pytest.raises(Malformed, match="more than"):
        unpack(packed, ending, limit=len(body) - 1)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_a_body_that_breaks_off_or_is_none_is_refused(ending: str) -> None:
    packed = PACKERS[ending](b"Package: x\n" * 1000)
    for broken in (packed[:-5], b"text", packed + b"text"):
        with pytest.raises(Malformed):
            unpack(broken, ending, limit=1_000_000)
    assert unpack(packed * 2, ending, limit=1_000_000).count(b"x") == 2000


def test_the_best_compression_is_asked_for_first_and_under_its_digest() -> None:
    [index] = wanted_indexes(release(AMD64, f"{AMD64}.gz", f"{AMD64}.xz"), ["main"], ["amd64"])
    assert [ending for ending, _ in index.choices] == [".xz", ".gz", ""]
    file = index.choices[0][1]
    assert index_urls("a/b", file, by_hash=True) == [
        f"dists/a/b/main/binary-amd64/by-hash/SHA256/{file.sha256}",
        f"dists/a/b/{AMD64}.xz",
    ]
    assert index_urls("a/b", file, by_hash=False) == [f"dists/a/b/{AMD64}.xz"]


@pytest.mark.parametrize(
    ("architectures", "in_release", "read"),
    [
        ([], "amd64", ["amd64"]),
        (["amd64"], "amd64 all", ["amd64", "all"]),
        (["amd64", "source"], "amd64", ["amd64", "source"]),
        (["source"], "amd64", ["source"]),
        (["all"], "amd64 all", ["all"]),
    ],
)
def test_all_comes_with_an_architecture_and_sources_are_asked_for(
    architectures: list[str], in_release: str, read: list[str]
) -> None:
    listed = wanted_indexes(
        release(AMD64, ALL, SOURCES, architectures=in_release), ["main"], architectures
    )
    assert [index.architecture for index in listed] == read


@pytest.mark.parametrize(
    ("components", "architectures", "fault"),
    [(["x"], [], "component `x`"), ([], ["x"], "architecture `x`"), ([], ["all"], "`all` alone")],
)
def test_what_a_suite_does_not_have_is_an_error(
    components: list[str], architectures: list[str], fault: str
) -> None:
    with pytest.raises(Refused, match=fault):
        wanted_indexes(release(AMD64), components, architectures)


def test_an_empty_index_needs_no_request() -> None:
    assert wanted_indexes(release(AMD64, body=b""), [], []) == []


def test_a_listing_groups_paragraphs_by_name_in_whatever_suites_they_stand() -> None:
    listing = Listing()
    body = f"{binary()}\n{binary('tool')}\n{binary('nginx', '2.0')}\nFoo: bar\n".encode()
    listing.add("stable", "main", "amd64", body=body)
    listing.add("testing", "main", "amd64", body=body)
    groups = dict(listing.groups(lambda name: name != "tool"))
    assert {name: len(entries) for name, entries in groups.items()} == {"nginx": 4}
    assert listing.unnamed == 2
    assert entries_digest(groups["nginx"]) == entries_digest(groups["nginx"][::-1])
    assert entries_digest(groups["nginx"]) != entries_digest(groups["nginx"][1:])


def test_a_paragraph_becomes_a_unit_that_shows_it_again() -> None:
    text = binary(version="1:1.0+b1~x")
    [unit], refused = units(entry(text), entry(text, suite="a/b"))[0][:1], units(entry(text))[1]
    assert refused == {}
    assert (unit.type, unit.key) == (PACKAGE, "stable/nginx_1:1.0+b1~x_amd64")
    assert unit.metadata == {
        "architecture": "amd64",
        "component": "main",
        "paragraph": text.strip("\n"),
        "suite": "stable",
        "version": "1:1.0+b1~x",
    }
    [file] = unit.artifacts
    assert (file.path, file.size) == ("pool/nginx_1:1.0+b1~x_amd64.deb", 3)


def test_a_package_for_all_is_one_unit_whichever_indexes_list_it() -> None:
    text = binary(architecture="all")
    listed, refused = units(entry(text), entry(text, architecture="arm64"))
    assert [unit.key for unit in listed] == ["stable/nginx_1.0_all"]
    assert refused == {}


def test_a_package_of_another_architecture_than_its_index_is_passed_over() -> None:
    assert units(entry(binary(architecture="arm64"))) == ([], {})


def test_a_version_that_is_listed_twice_keeps_its_first_facts() -> None:
    listed, refused = units(entry(binary()), entry(f"{binary()}Homepage: x\n"))
    assert len(listed) == 1
    assert list(refused) == ["stable/nginx_1.0_amd64"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Version: 1.0", "Version: 1_0", "no Debian version"),
        ("Architecture: amd64", "Architecture: ../x", "no architecture"),
        ("pool/", "../", "path of its file"),
        ("pool/", "dists/", "path of its file"),
        ("Size: 3", "Size: -3", "no number of bytes"),
        ("SHA256: ", "SHA256: zz", "no digest"),
        ("SHA256: ", "MD5sum: ", "weaker digests prove nothing"),
        ("Maintainer: ", "Version: ", "there twice"),
        ("Maintainer: ", "Main tainer: ", "no field"),
    ],
)
def test_a_hostile_paragraph_is_refused_by_its_key(old: str, new: str, reason: str) -> None:
    listed, refused = units(entry(binary().replace(old, new, 1)))
    assert listed == []
    [(key, text)] = refused.items()
    assert key.startswith("stable/nginx_")
    assert reason in text


def test_sha512_alone_is_enough() -> None:
    digest = sha512(b"deb").hexdigest()
    text = binary().splitlines()
    lines = [f"SHA512: {digest}" if line.startswith("SHA256") else line for line in text]
    [unit], _ = units(entry("\n".join(lines)))
    assert (unit.artifacts[0].sha256, unit.artifacts[0].digests) == ("", {"sha512": digest})


def test_a_source_package_has_all_its_files() -> None:
    text = (
        "Package: nginx\nVersion: 1.0-1\nDirectory: pool/n\nFiles:\n 0 1 x\nChecksums-Sha256:\n"
        f" {'a' * 64} 1 nginx_1.0-1.dsc\n {'b' * 64} 2 nginx_1.0.orig.tar.gz"
    )
    [unit], refused = units(entry(text, architecture="source"))
    assert refused == {}
    assert (unit.type, unit.key) == (SOURCE_PACKAGE, "stable/nginx_1.0-1_source")
    assert [file.path for file in unit.artifacts] == [
        "pool/n/nginx_1.0-1.dsc",
        "pool/n/nginx_1.0.orig.tar.gz",
    ]
    for broken in (text.replace("nginx_1.0.orig", "../x"), text.replace(".dsc", ".txt")):
        assert units(entry(broken, architecture="source"))[0] == []


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("pool/a_1%3a2.deb", "pool/a_1%253a2.deb"),
        ("pool/a_1:2~b+c.deb", "pool/a_1%3A2~b%2Bc.deb"),
        ("pool/a?b#c.deb", "pool/a%3Fb%23c.deb"),
    ],
)
def test_a_path_is_meant_literally(path: str, url: str) -> None:
    assert fetch_url(BASE, path) == f"{BASE}{url}"


def test_a_flat_archive_has_one_index_for_all_architectures() -> None:
    """Kind: a suite that is a folder, as vendors of few packages have it."""
    listed = parse_release(release_text({"Packages": b"x", "Packages.gz": b"y", "Sources": b"z"}))
    both = flat_indexes(listed, ["amd64", "source"])
    assert [index.architecture for index in both] == ["", "source"]
    [index] = flat_indexes(listed, ["source"])
    assert index.choices[0][1].path == "Sources"
    file = both[0].choices[0][1]
    assert index_urls("./", file, by_hash=False) == ["Packages.gz"]
    assert index_urls("ubuntu/", file, by_hash=True) == [
        f"ubuntu/by-hash/SHA256/{file.sha256}",
        "ubuntu/Packages.gz",
    ]
    with pytest.raises(Refused, match="lists no `Packages`"):
        flat_indexes(release(AMD64), [])
    body = "\n".join(binary(name, architecture=name) for name in ("amd64", "arm64", "all"))
    for architectures, names in ((["amd64", "source"], ["all", "amd64"]), ([], 3 * ["a"])):
        listing = Listing()
        listing.add_flat("flat", "main", architectures, body=body.encode())
        assert len(listing.packages) == len(names)
        assert {each.architecture for own in listing.packages.values() for each in own} <= {
            "amd64",
            "arm64",
            "all",
        }


@pytest.mark.parametrize(
    ("suite", "folder", "name"),
    [
        ("stable/updates", "dists/stable/updates/", "stable/updates"),
        ("./", "", "flat"),
        ("ubuntu/", "ubuntu/", "ubuntu"),
        ("./a/b/", "a/b/", "a/b"),
    ],
)
def test_a_suite_lies_below_dists_or_is_a_folder(suite: str, folder: str, name: str) -> None:
    assert (suite_folder(suite), unit_suite(suite)) == (folder, name)
