"""Contents of filenames, and names that are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler_python.reading.filenames import FilenameReader, UnreadableFilename, project_name


@pytest.mark.parametrize(
    ("project", "filename", "version", "package_type"),
    [
        ("foo", "foo-1.0-py3-none-any.whl", "1.0", "wheel"),
        ("foo-bar", "foo_bar-1.0-1-cp311-cp311-manylinux_2_17_x86_64.whl", "1.0", "wheel"),
        ("foo-bar", "Foo.Bar-1.0.0RC1-py3-none-any.whl", "1.0.0rc1", "wheel"),
        ("foo", "foo-1.0+cu121-py3-none-any.whl", "1.0+cu121", "wheel"),
        ("foo", "foo-1.0_1-py3-none-any.whl", "1.0.post1", "wheel"),
        ("foo", "foo-1.0-py3-none-any-variant.whl", "1.0", "wheel"),
        ("foo", "foo-1.0.tar.gz", "1.0", "sdist"),
        ("foo", "foo-1.0-1-cp312-cp312-win_amd64-cu128.whl", "1.0", "wheel"),
        ("foo-bar", "foo-bar-1.0.zip", "1.0", "sdist"),
        ("foo-bar", "foo__bar-1.0.tar.bz2", "1.0", "sdist"),
        ("foo-2", "foo-2-1.0.tgz", "1.0", "sdist"),
        ("foo", "foo-1.0-1.tar.gz", "1.0.post1", "sdist"),
        ("foo", "foo-1.0.tar.Z", "1.0", "sdist"),
        ("foo", "foo-1.0.linux-x86_64.tar.gz", "1.0", "dumb"),
        ("foo", "foo-1.0.macosx-10.9-x86_64.tar.gz", "1.0", "dumb"),
        ("foo", "foo-1.0.win32.zip", "1.0", "dumb"),
        ("foo", "foo-1.0-py2.7.egg", "1.0", "egg"),
        ("foo", "foo-1.0-py2.7-linux-x86_64.egg", "1.0", "egg"),
        ("foo", "foo-1.0_1-py2.7.egg", "1.0.post1", "egg"),
        ("foo", "foo-1.0.win32-py2.7.exe", "1.0", "wininst"),
        ("foo", "foo-1.0.win-amd64.exe", "1.0", "wininst"),
        ("foo", "foo-1.0.win-amd64-py3.4.msi", "1.0", "msi"),
        ("foo", "foo-1.0-macosx10.3.dmg", "1.0", "dmg"),
        ("foo", "foo-1.0-1.noarch.rpm", "1.0", "rpm"),
    ],
)
def test_a_filename_gives_version_and_package_type(
    project: str, filename: str, version: str, package_type: str
) -> None:
    assert FilenameReader(project).read(filename) == (version, package_type)


@pytest.mark.parametrize(
    ("filename", "reason"),
    [
        ("../../etc/passwd", "unsafe"),
        ("foo-1.0/../../x.tar.gz", "unsafe"),
        ("foo-1.0\\x.tar.gz", "unsafe"),
        ("foo-1.0\n.tar.gz", "unsafe"),
        ("foo-1.0\x1b[2J.tar.gz", "unsafe"),
        ("foo-1.0\u202egz.rat.tar.gz", "unsafe"),
        (".foo-1.0.tar.gz", "unsafe"),
        ("", "no known type"),
        ("foo-1.0.txt", "no known type"),
        ("f-oo-1.0-py3-none-any.whl", "does not begin"),
        ("foo.tar.gz", "does not begin"),
        ("bar-1.0.tar.gz", "does not begin"),
        ("-1.0.tar.gz", "does not begin"),
        ("foo-bar-1.0.tar.gz", "not a PEP 440 version: `bar-1.0`"),
        ("foo-latest.tar.gz", "not a PEP 440 version: `latest`"),
        ("foo-1.0.whl", "5 to 7 parts"),
        ("foo-" + "1" * 300 + ".tar.gz", "longer than 246 bytes"),
    ],
)
def test_what_is_no_distribution_of_the_project_is_refused_with_its_reason(
    filename: str, reason: str
) -> None:
    with pytest.raises(UnreadableFilename, match=reason):
        FilenameReader("foo").read(filename)


@pytest.mark.parametrize(
    "filename", ["foo-bar-1.0-py3-none-any.whl", "Foo-Bar-1.0-1-py3-none-any-label.whl"]
)
def test_a_wheel_that_spells_its_project_with_hyphens_is_legacy(filename: str) -> None:
    """PEP 427 has no hyphen in a wheel's name: pip and uv pass such a file over."""
    with pytest.raises(UnreadableFilename, match="PEP 427"):
        FilenameReader("foo-bar").read(filename)
    assert FilenameReader("foo-bar", legacy=True).read(filename) == ("1.0", "wheel")


@given(st.text(max_size=60))
def test_no_text_crashes_the_reader(text: str) -> None:
    reader = FilenameReader("foo")
    for filename in (
        text,
        f"foo-{text}.tar.gz",
        f"foo-{text}.whl",
        f"foo-{text}.egg",
        f"{text}-1.0.rpm",
    ):
        try:
            found = reader.read(filename)
        except UnreadableFilename:
            continue
        assert "/" not in filename
        assert FilenameReader("foo").read(filename) == found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Foo.Bar_baz", "foo-bar-baz"),
        ("foo", "foo"),
        ("A", "a"),
        ("foo--bar", "foo-bar"),
        ("zope.interface", "zope-interface"),
    ],
)
def test_project_names_are_normalised(text: str, name: str) -> None:
    assert project_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../../etc",
        "foo/",
        "-foo",
        "foo-",
        "https://evil.example.org/",
        "fo\no",
        "f\x00",
        "foo bar",
        "naïve",
        "a" * 256,
    ],
)
def test_what_can_be_no_project_name_is_none(text: str) -> None:
    assert project_name(text) is None


@given(
    name=st.sampled_from(["foo_bar", "Foo.Bar", "foo__bar", "foo-bar", "foo", "foo_bar_", "_foo"]),
    version=st.sampled_from(["1.0", "0", "2.10.3", "01.0", "1.0rc1", "1.0_1", "1.", "x"]),
    tags=st.lists(st.sampled_from(["1", "py3", "none", "a.b_c", "", "+"]), max_size=7),
)
def test_a_wheel_is_read_by_its_parts_whatever_they_are(
    name: str, version: str, tags: list[str]
) -> None:
    """Also where a shorter way to read it exists."""
    release = {"01.0": "1.0", "1.0_1": "1.0.post1"}.get(version, version)
    fits = name in ("foo_bar", "Foo.Bar", "foo__bar") and version not in ("1.", "x")
    filename = "-".join([name, version, *tags]) + ".whl"
    if fits and 3 <= len(tags) <= 5:
        assert FilenameReader("foo-bar").read(filename) == (release, "wheel")
    else:
        with pytest.raises(UnreadableFilename):
            FilenameReader("foo-bar").read(filename)
