"""`bandersnatch.conf`: what its filter plugins select, the manifests select."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import Description, Draft, Malformed
from reconciler_python.arriving.bandersnatch_lists import glob_of
from reconciler_python.arriving.translation import translate


def draft(folder: Path, text: str, plugins: str = "all") -> Draft:
    path = folder / "bandersnatch.conf"
    names = "".join(f"\n    {name}" for name in plugins.split())
    path.write_text(f"[plugins]\nenabled ={names}\n{text}\n[mirror]\nworkers = 3\n")
    result = translate(Description(path))
    assert result is not None
    return result


def sources(folder: Path, text: str, plugins: str = "all") -> list[dict[str, Any]]:
    """Return the keys of the sources, without their remotes."""
    [repository] = [each for each in draft(folder, text, plugins).resources if each.kind[2] == "p"]
    return [
        {key: value for key, value in source["remote"].items() if key != "name"}
        for source in repository.spec["sources"]
    ]


def lost(folder: Path, text: str, plugins: str = "all") -> list[str]:
    """Return `option (place)` of what has no equal."""
    remarks = draft(folder, text, plugins).remarks
    return [f"{remark.option} ({remark.place})" for remark in remarks if remark.lost]


ALLOWED = "[allowlist]\npackages =\n    Foo.Bar>=2,<3  # why\n    # none\n    six\n"


def test_without_filters_everything_comes_in_from_the_well_known_index(tmp_path: Path) -> None:
    assert sources(tmp_path, "", "latest_release") == [{"everything": True}]
    assert draft(tmp_path, "").resources[0].spec["index"] == "pypi"


def test_each_enabled_plugin_narrows_the_lists_of_the_others(tmp_path: Path) -> None:
    assert sources(tmp_path, ALLOWED, "allowlist_project") == [{"include": ["foo-bar", "six"]}]
    # with a specifier bandersnatch means pre-releases as well
    assert sources(tmp_path, ALLOWED, "allowlist_project allowlist_release") == [
        {"include": ["foo-bar<3,>=2", "six"], "filter": {"prereleases": "allow"}}
    ]
    (tmp_path / "locked.txt").write_text("six==1.16.0 --hash=sha256:00\n-r more.txt\nidna==3.7\n")
    files = f"{ALLOWED}requirements =\n    locked.txt"
    assert sources(tmp_path, files, "allowlist_project project_requirements_pinned") == [
        {"include": ["six==1.16.0"], "filter": {"prereleases": "allow"}}
    ]
    assert sources(tmp_path, files, "project_requirements") == [{"include": ["six", "idna"]}]
    # alone, the files are read by every sync
    assert sources(tmp_path, files, "project_requirements_pinned") == [
        {"requirements": [str(tmp_path / "locked.txt")]}
    ]


def test_lists_that_let_nothing_through_never_come_to_mean_everything(tmp_path: Path) -> None:
    (tmp_path / "locked.txt").write_text("idna==3.7\n")
    with pytest.raises(Malformed, match="let no project through"):
        draft(tmp_path, f"{ALLOWED}requirements = locked.txt")


def test_a_list_of_a_plugin_that_is_not_enabled_counts_for_nothing_and_is_named(
    tmp_path: Path,
) -> None:
    text = "[allowlist]\npackages = six\n[blocklist]\npackages =\n    bad\n    old<2\n"
    assert sources(tmp_path, text, "blocklist_project") == [
        {"everything": True, "exclude": ["bad"]}
    ]
    assert lost(tmp_path, text, "blocklist_project") == [
        "[allowlist] packages (bandersnatch.conf:5)",
        "[blocklist] packages (bandersnatch.conf:7)",
    ]
    assert sources(tmp_path, text, "blocklist_release")[0]["exclude"] == ["bad", "old<2"]


def test_rules_of_releases_and_files_become_keys_of_the_filter(tmp_path: Path) -> None:
    text = """\
[blocklist]
platforms = windows macos py2.7
[latest_release]
keep = 3
sort_by = time
[version_range_release_file_metadata]
any:release_file.requires_python =
    3.11
    3.12
[regex_release_file_metadata]
any:release_file.packagetype =
    bdist_wheel
    bdist_msi
[filter_prerelease]
"""
    [source] = sources(tmp_path, text)
    assert source["filter"] == {
        "platforms": ["any", "linux", "android", "ios"],
        "packageTypes": ["wheel"],
        "requiresPython": ["3.11", "3.12"],
        "latest": 3,
        "prereleases": "deny",
    }
    assert lost(tmp_path, text) == [
        "[blocklist] platforms (bandersnatch.conf:5)",
        "[latest_release] sort_by (bandersnatch.conf:8)",
    ]


def test_pre_releases_of_some_projects_are_a_source_of_their_own(tmp_path: Path) -> None:
    text = "[filter_prerelease]\npackages =\n    Black\n"
    deny = {"prereleases": "deny"}
    everything, named = draft(tmp_path, text).resources[-2], sources(tmp_path, text)
    assert named == [{"include": ["black"], "filter": deny}, {"everything": True}]
    assert [source["remote"]["name"] for source in everything.spec["sources"]] == [
        "upstream",
        "upstream-2",
    ]
    both = f"{text}[allowlist]\npackages =\n    black\n    six\n"
    assert sources(tmp_path, both, "prerelease_release allowlist_project") == [
        {"include": ["black"], "filter": deny},
        {"include": ["six"]},
    ]


@pytest.mark.parametrize(
    ("pattern", "glob"),
    [
        (".+-nightly$", "?*-nightly"),
        ("^acme-", "acme-*"),
        ("acme", "acme*"),
        (r"acme\.tools$", "acme-tools"),
        ("a.*b$", "a*b"),
        (".*", None),
        ("foo(bar|baz)", None),
        ("foo[0-9]", None),
        ("a.c", None),
    ],
)
def test_a_pattern_is_a_glob_where_it_says_no_more(pattern: str, glob: str | None) -> None:
    assert glob_of(pattern) == glob


def test_every_option_without_an_equal_is_named_with_its_line(tmp_path: Path) -> None:
    text = """\
[filter_regex]
packages =
    ^acme-
    foo(bar|baz)
releases = .+alpha
[size_project_metadata]
max_package_size = 1G
[regex_project_metadata]
any:info.license = MIT
[s3]
region = somewhere
"""
    assert lost(tmp_path, text) == [
        "[filter_regex] packages (bandersnatch.conf:7)",
        "[filter_regex] releases (bandersnatch.conf:8)",
        "[regex_project_metadata] any:info.license (bandersnatch.conf:12)",
        "[size_project_metadata] max_package_size (bandersnatch.conf:10)",
        "[s3] region (bandersnatch.conf:14)",
    ]
    assert sources(tmp_path, text)[0]["exclude"] == ["acme-*"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("six\n", "bandersnatch.conf:1: an option stands before the first `[section]`"),
        ("[mirror]\nsix\n", "bandersnatch.conf:2: `six` is neither `[section]` nor `option = v"),
        ("[mirror]\na=1\na=2\n", "bandersnatch.conf:3: `a` is written twice in `[mirror]`"),
        (
            "[plugins]\nenabled=all\n[mirror]\n[allowlist]\npackages=\n  ok\n  a b\n",
            "bandersnatch.conf:7: `a b` is no requirement",
        ),
        (
            "[plugins]\nenabled=all\n[mirror]\n[blocklist]\npackages=six;" + "(" * 9999,
            "bandersnatch.conf:5: ",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(
    text: str, message: str, *, tmp_path: Path
) -> None:
    path = tmp_path / "bandersnatch.conf"
    path.write_text(text)
    with pytest.raises(Malformed) as caught:
        translate(Description(path, "bandersnatch"))
    assert message in str(caught.value)


def test_a_download_mirror_is_asked_first(tmp_path: Path) -> None:
    path = tmp_path / "bandersnatch.conf"
    path.write_text("[mirror]\ndownload-mirror = https://near.example.org/\n")
    result = translate(Description(path))
    assert result is not None
    assert result.resources[0].spec["mirrors"] == ["https://near.example.org/"]
