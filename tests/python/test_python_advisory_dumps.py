"""OSV dumps: reading a folder or a zip, changed and broken ones, their age."""

from __future__ import annotations

import json
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from reconciler.plugin import Malformed
from reconciler_python.evidence import osv_dump, osv_files
from reconciler_python.evidence.advisories import OsvRules, advisory_reason
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from tests.support.mirror import Mirror, remote, repository, resource
from tests.support.osv import reasons, record, rules, zipped
from tests.support.upstream import upstream


class TestDump:
    def test_a_folder_is_as_good_as_a_zip(self, tmp_path: Path) -> None:
        (tmp_path / "osv" / "deep").mkdir(parents=True)
        (tmp_path / "osv" / "deep" / "MAL-1.json").write_text(
            json.dumps(record("MAL-1", versions=["1"]))
        )
        (tmp_path / "osv" / "README").write_text("no record")
        assert reasons(rules(tmp_path / "osv"), "1", "2") == ["MAL-1: malware", None]

    def test_another_content_is_another_option_and_the_path_is_none(self, tmp_path: Path) -> None:
        def identity(path: Path, **keys: Any) -> Any:
            return FilterOptions.model_validate_json(
                json.dumps({"osv": {"path": path.name, **keys}}),
                context={"folder": str(path.parent)},
            ).model_dump(mode="json", by_alias=True, exclude_defaults=True)["osv"]

        dump = zipped(tmp_path / "all.zip", record("MAL-1", versions=["1"]))
        before = identity(dump)
        assert before.keys() == {"path", "content"}
        assert str(tmp_path) not in json.dumps(before)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "all.zip").write_bytes(dump.read_bytes())
        assert identity(tmp_path / "other" / "all.zip") == before
        zipped(dump, record("MAL-1", versions=["2"]))
        assert identity(dump)["content"] != before["content"]
        assert reasons(rules(dump), "1", "2") == [None, "MAL-1: malware"]

    def test_the_digest_of_a_folder_is_of_names_and_contents(self, tmp_path: Path) -> None:
        def digest(**files: str) -> str:
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            for name, text in files.items():
                (folder / f"{name}.json").write_text(text)
            return osv_files.digest(folder)

        assert digest(a="1", b="2") == digest(b="2", a="1")
        assert (
            len(
                {
                    digest(a="1", b="2"),
                    digest(a="2", b="1"),
                    digest(a="1"),
                    digest(a="1", c="2"),
                    digest(a="12"),
                    digest(a="12", b=""),
                }
            )
            == 6
        )

    def test_a_change_that_keeps_size_and_time_is_noticed_and_an_unchanged_dump_is_read_once(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "osv").mkdir()
        file = tmp_path / "osv" / "MAL-1.json"
        file.write_text(json.dumps(record("MAL-1", versions=["1"])))
        first = rules(tmp_path / "osv")
        assert reasons(first, "1") == ["MAL-1: malware"]
        assert rules(tmp_path / "osv").dump is first.dump
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        file.unlink()
        file.write_text(json.dumps(record("MAL-1", versions=["2"])))
        os.utime(file, ns=times)
        assert reasons(rules(tmp_path / "osv"), "1", "2") == [None, "MAL-1: malware"]

    def test_options_decide_with_the_dump_that_they_were_made_for(self, tmp_path: Path) -> None:
        dump = zipped(tmp_path / "all.zip", record("MAL-1", versions=["1"]))
        late = rules(dump)
        assert len(late.dump.digest) == 64
        zipped(dump, record("MAL-1", versions=["1", "2"]))
        with pytest.raises(Malformed, match=r"OSV dump `all.zip`: it changed while it was read"):
            reasons(late, "1")

    @pytest.mark.parametrize(
        ("broken", "words"),
        [
            (b"{", "is no OSV record"),
            (b"[]", "is no OSV record"),
            (b'{"id": 5}', "is no OSV record"),
            (b'{"affected": []}', "is no OSV record"),
            (b"\xff\xfe", "is no OSV record"),
            (
                b'{"id": "A", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
                "is nested too deeply|is no OSV record",
            ),
        ],
    )
    def test_a_broken_record_is_an_error_that_names_it(
        self, tmp_path: Path, broken: bytes, words: str
    ) -> None:
        dump = rules(zipped(tmp_path / "all.zip", record("MAL-1", versions=["1"]), broken))
        for _ in range(2):  # the second time without reading it again
            with pytest.raises(Malformed, match=f"OSV dump `all.zip`: `1.json` ({words})"):
                reasons(dump, "1", project="somebody-else")

    def test_what_is_only_looked_at_for_its_project_is_an_error_of_that_project(
        self, tmp_path: Path
    ) -> None:
        dump = rules(
            zipped(
                tmp_path / "all.zip",
                record("GHSA-1", versions=[5]),
                record("MAL-1", "other", versions=["1"]),
            )
        )
        assert reasons(dump, "1", project="other") == ["MAL-1: malware"]
        with pytest.raises(Malformed, match="`GHSA-1` is no OSV record"):
            reasons(dump, "1")

    def test_zip_files_that_lie(self, tmp_path: Path) -> None:
        body = zipped(tmp_path / "good.zip", record("MAL-1", versions=["1"])).read_bytes()
        directory = body.index(b"PK\x01\x02")
        size = directory + 24
        patches = {
            "bomb": (
                size,
                (osv_files.LARGEST + 1).to_bytes(4, "little"),
            ),  # announces more than a record may have
            "short": (size, (10).to_bytes(4, "little")),  # unpacks to more than it announces
            "checksum": (directory + 16, b"\0\0\0\0"),
            "encrypted": (directory + 8, b"\1\0"),
            "elsewhere": (directory + 42, b"\xff\xff\xff\x7f"),
            "overlapping": (directory + 42, b"\x07\0\0\0"),
        }
        for name, (at, change) in patches.items():
            path = tmp_path / f"{name}.zip"
            path.write_bytes(body[:at] + change + body[at + len(change) :])
            with pytest.raises(Malformed, match=rf"OSV dump `{name}.zip`: `0.json` "):
                reasons(rules(path), "1")

    def test_dumps_without_a_record(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
            archive.writestr("../../evil.txt", "")
        for name in ("folder", "empty.zip"):
            with pytest.raises(Malformed, match=f"OSV dump `{name}`: no `\\*.json` is in it"):
                reasons(rules(tmp_path / name), "1")


class TestOptions:
    def test_a_path_must_lead_to_a_dump_unless_it_is_read_from_records(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "text.zip").write_text("no zip")
        for name in ("missing", "text.zip"):
            with pytest.raises(
                ValidationError, match=f"`{name}` is neither a folder nor a zip file"
            ):
                rules(tmp_path / name)
        gone = rules(tmp_path / "missing", recorded=True)
        assert gone.model_dump(mode="json", by_alias=True)["content"] == "unreadable"
        with pytest.raises(Malformed, match="OSV dump `missing`"):
            reasons(gone, "1")

    def test_a_text_is_short_for_the_path(self, tmp_path: Path) -> None:
        zipped(tmp_path / "all.zip", record("MAL-1"))
        context = {"folder": str(tmp_path)}
        assert OsvRules.model_validate_json(
            '"all.zip"', context=context
        ) == OsvRules.model_validate_json('{"path": "all.zip"}', context=context)
        short, full = TypeAdapter(OsvRules).json_schema()["anyOf"]
        assert short == {"type": "string", "minLength": 1}
        assert set(full["properties"]) == {"path", "malware", "severity", "unknownSeverity"}

    @pytest.mark.parametrize(
        "keys",
        [
            {"severity": "awful"},
            {"malware": True},
            {"unknownSeverity": "maybe"},
            {"path": ""},
            {"paths": "x"},
        ],
    )
    def test_faults(self, tmp_path: Path, keys: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            OsvRules.model_validate_json(
                json.dumps({"path": ".", **keys}), context={"folder": str(tmp_path)}
            )


class TestEngine:
    def test_a_dump_decides_again_when_it_changes_and_nothing_when_it_breaks(
        self, tmp_path: Path
    ) -> None:
        site, dump = tmp_path / "site", tmp_path / "site" / "all.zip"
        site.mkdir()
        zipped(dump, record("MAL-1", "other", versions=["1.0"]))
        with upstream() as index:
            index.release("acme", "1.0", "2.0")
            rules = resource("Filter", "rules", "type: python\nglobal: true\nosv: all.zip\n")
            mirror = Mirror(site, remote(index.url), repository(), rules)
            mirror.applied()
            assert len(mirror.filenames()) == 2
            assert not mirror.pending()
            index.forget()
            zipped(dump, record("MAL-2", versions=["2.0"]))
            planned = mirror.plan("--verbose").out
            assert "MAL-2: malware (rules.osv)" in planned
            assert "warning: filter:rules: the OSV dump `" in planned
            assert "` is of 2026-01-01, " in planned
            mirror.applied()
            assert mirror.filenames() == ["acme-1.0-py3-none-any.whl"]
            assert index.downloads() == {}
            zipped(dump, record("MAL-2", versions=["2.0"]), b"{")
            broken = mirror.apply()
            assert broken.code != 0
            assert "OSV dump `all.zip`: `1.json` is no OSV record" in broken.out + broken.err
            assert mirror.filenames() == ["acme-1.0-py3-none-any.whl"]


def test_a_zip_whose_records_are_too_much_together_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(osv_files, "TOGETHER", 100)
    path = zipped(tmp_path / "all.zip", record("MAL-1"), record("MAL-2"))
    with pytest.raises(Malformed, match="together"):
        advisory_reason("acme", "1", rules(path))


def test_records_about_python_that_would_fill_the_memory_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small archive may hold a large record; records of other ecosystems cost nothing."""
    monkeypatch.setattr(osv_dump, "_LARGEST", 1000)
    npm = json.dumps(record("X-1")).replace("PyPI", "npm").encode()
    others = [npm] * 20
    assert advisory_reason("acme", "1", rules(zipped(tmp_path / "a.zip", *others))) is None
    many = [record(f"MAL-{number}") for number in range(20)]
    with pytest.raises(Malformed, match="about Python have more than 1,000 bytes"):
        advisory_reason("acme", "1", rules(zipped(tmp_path / "b.zip", *many)))


def test_a_dump_without_a_file_has_no_date(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    options = FilterOptions.model_validate({"osv": "empty"}, context={"folder": str(tmp_path)})
    assert list(options.warnings(datetime(2026, 1, 1, tzinfo=UTC))) == []


WEEK_OLD = "of 2026-01-01, {} days old"


@pytest.mark.parametrize(
    ("days", "warned"), [(0, False), (7, False), (8, True), (400, True)], ids=str
)
def test_a_dump_older_than_a_week_is_a_warning_with_its_date(
    tmp_path: Path, days: int, warned: bool
) -> None:
    """The newest record tells its date, once records were read; a fresh copy is no fresh dump."""
    older = {**record("MAL-0"), "modified": "2024-05-05T00:00:00Z"}
    path = zipped(tmp_path / "all.zip", older, record("MAL-1", events=[{"introduced": "0"}]))
    rules = FilterOptions.model_validate({"osv": path.name}, context={"folder": str(tmp_path)})
    assert rules.osv is not None
    assert advisory_reason("acme", "1", rules.osv)
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)
    assert [WEEK_OLD.format(days) in text for text in rules.warnings(now)] == [True] * warned
    source = SelectionOptions.model_validate(
        {"filter": {"osv": path.name}}, context={"folder": str(tmp_path)}
    )
    assert len(list(source.warnings(now))) == warned


def test_the_files_tell_the_date_of_a_dump_that_nothing_was_read_of(tmp_path: Path) -> None:
    path = zipped(tmp_path / "all.zip", record("MAL-1"))
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    os.utime(path, (moment.timestamp(), moment.timestamp()))
    rules = FilterOptions.model_validate({"osv": path.name}, context={"folder": str(tmp_path)})
    assert not list(rules.warnings(moment + timedelta(days=6)))
    assert "of 2026-03-01, 9 days old" in next(iter(rules.warnings(moment + timedelta(days=9))))
