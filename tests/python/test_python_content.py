"""The content types: what a plan says of a change, and METADATA out of wheels."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.plugin import Artifact, StoredUnit, Summary, Unit
from reconciler_python.content import Distribution, Project
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.archives import wheel_metadata
from tests.support.conduits import stored
from tests.support.wheels import build_wheel, zipped

FILENAME = "django-5.1-py3-none-any.whl"


def unit(sha256: str = "a" * 64, **metadata: Any) -> Unit:
    plain = {"name": "django", "version": "5.1", "packageType": "wheel", **metadata}
    return Unit("python.distribution", FILENAME, plain, [Artifact(FILENAME, sha256)])


def before(sha256: str = "a" * 64, **metadata: Any) -> StoredUnit:
    return stored(unit(sha256, **metadata), "django")


class TestDistribution:
    def test_a_plan_shows_version_and_package_type(self) -> None:
        assert Distribution.summary(unit()) == Summary("5.1", "wheel")

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ({}, {"yanked": "broken metadata"}, 'yanked upstream: "broken metadata"'),
            ({}, {"yanked": True}, "yanked upstream"),
            ({"yanked": True}, {}, "no longer yanked"),
            (
                {"requiresPython": ">=3.8"},
                {"requiresPython": ">=3.9"},
                "requires-python >=3.8 -> >=3.9",
            ),
            ({}, {"requiresPython": ">=3.9"}, "requires-python any -> >=3.9"),
            ({}, {"coreMetadata": {"sha256": "b" * 64}}, "core metadata changed"),
            ({"uploadTime": "x"}, {"yanked": True}, "upload time changed, yanked upstream"),
            ({}, {"yanked": "a\x1b[2J\nb"}, r'yanked upstream: "a\x1b[2J\nb"'),
            ({}, {"_pulledBy": ["app 1 requires django"], "yanked": True}, "yanked upstream"),
            ({}, {"_license": "MIT"}, "size changed"),
            ({}, {}, "size changed"),
        ],
    )
    def test_a_change_is_told_in_words(
        self, old: dict[str, Any], new: dict[str, Any], words: str
    ) -> None:
        assert Distribution.describe_change(before(**old), unit(**new)) == words

    def test_replaced_bytes_are_refused_unless_substitution_is_allowed(self) -> None:
        reason = Distribution.refuse_replacement(
            before("a" * 64), unit("b" * 64), SelectionOptions()
        )
        assert reason is not None
        assert reason.startswith(
            "upstream replaced its bytes: sha256 aaaaaaaaaaaa is now bbbbbbbbbbbb"
        )
        assert Distribution.refuse_replacement(before("a" * 64), unit("b" * 64), None) == reason
        assert (
            Distribution.refuse_replacement(
                before("a" * 64), unit("b" * 64), SelectionOptions(substitution="allow")
            )
            is None
        )
        assert (
            Distribution.describe_change(before("a" * 64), unit("b" * 64))
            == "bytes replaced upstream"
        )

    def test_changed_metadata_is_not_refused(self) -> None:
        assert (
            Distribution.refuse_replacement(before(), unit(yanked=True), SelectionOptions()) is None
        )

    @pytest.mark.parametrize(
        ("keys", "words"),
        [
            ({"include": ["django>=5.2,<6"]}, 'no longer matches include "django>=5.2,<6"'),
            (
                {"include": ["django<5", "dj*", "django>=6"], "exclude": ["django==5.*"]},
                'excluded by "django==5.*"',
            ),
            (
                {"include": ["django<5", "django>=6"]},
                'no longer matches include "django<5", "django>=6"',
            ),
            ({"include": ["requests"]}, "no longer matches an include"),
            (
                {"include": ["requests"], "dependencies": True},
                "gone upstream, or nothing depends on it any more",
            ),
            ({"include": ["django"], "dependencies": True}, "gone upstream"),
            ({"include": ["django"]}, "gone upstream"),
            ({}, "gone upstream"),
        ],
    )
    def test_a_removal_has_its_reason(self, keys: dict[str, Any], words: str) -> None:
        assert (
            Distribution.removal_reason(before(), SelectionOptions.model_validate(keys), "")
            == words
        )

    def test_what_keeps_it_out_now_is_the_reason_unless_the_include_says_it_better(self) -> None:
        options = SelectionOptions.model_validate({"include": ["django>=5.2"]})
        assert (
            Distribution.removal_reason(before(), options, 'denied by "django" (rules.deny)')
            == 'denied by "django" (rules.deny)'
        )
        assert (
            Distribution.removal_reason(before(), options, "matches no include")
            == 'no longer matches include "django>=5.2"'
        )

    def test_a_dependency_that_is_offered_is_no_longer_one(self) -> None:
        options = SelectionOptions.model_validate({"include": ["requests"], "dependencies": True})
        assert (
            Distribution.removal_reason(before(), options, "matches no include or dependency")
            == "no longer matches an include or dependency"
        )

    def test_without_options_what_goes_is_gone_upstream(self) -> None:
        assert Distribution.removal_reason(before(), None, "") == "gone upstream"


def test_a_project_is_kept_beside_its_distributions_only_and_tells_its_status() -> None:
    old = StoredUnit(
        artifacts=[], group="foo", key="foo", metadata={"status": "archived"}, type="python.project"
    )
    assert Project.kept_with == Distribution.id
    assert Project.describe_change(
        old, Unit("python.project", "foo", {"status": "deprecated", "reason": "use bar"})
    ) == ('status archived -> deprecated ("use bar")')


class TestProjectRemoval:
    STATUS = StoredUnit(
        artifacts=[], group="foo", key="foo", metadata={"status": "archived"}, type="python.project"
    )
    NEUTRAL = "none of its distributions is left, or its status is active again"

    @pytest.mark.parametrize(
        ("keys", "words"),
        [
            ({"exclude": ["Foo"]}, 'excluded by "Foo"'),
            ({"exclude": ["f*"], "include": ["foo"]}, 'excluded by "f*"'),
            ({"include": ["bar"]}, "no longer matches an include"),
            ({"include": ["foo>=5"], "exclude": ["foo==6"]}, NEUTRAL),
            ({}, NEUTRAL),
        ],
    )
    def test_it_never_claims_that_upstream_lost_it(self, keys: dict[str, Any], words: str) -> None:
        options = SelectionOptions.model_validate(keys)
        assert Project.removal_reason(self.STATUS, options, "") == words
        assert Project.removal_reason(self.STATUS, options, "matches no include") == words

    def test_what_keeps_it_out_is_the_reason(self) -> None:
        assert (
            Project.removal_reason(
                self.STATUS, SelectionOptions(exclude=("foo",)), 'denied by "foo" (rules.deny)'
            )
            == 'denied by "foo" (rules.deny)'
        )

    def test_without_options_it_is_neutral(self) -> None:
        assert Project.removal_reason(self.STATUS, None, "") == self.NEUTRAL


class TestWheelMetadata:
    def test_metadata_comes_out_byte_for_byte(self) -> None:
        built = build_wheel("Foo.Bar", "1.0", requires=["x>1"], padding=b"z" * 100_000)
        found = Distribution.extract(
            Unit(
                "python.distribution",
                built.filename,
                {"name": "foo-bar", "version": "1.0", "packageType": "wheel"},
            ),
            Artifact("x.metadata", built.metadata_sha256),
            io.BytesIO(built.content),
        )
        assert found == built.metadata

    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    @pytest.mark.parametrize(
        "comment", [b"", b"a comment", b"PK\x05\x06 in a comment that is long enough for a record"]
    )
    def test_stored_and_deflated_members_and_comments(
        self, compression: int, comment: bytes
    ) -> None:
        members = {"foo-1.0.dist-info/METADATA": b"Name: foo\n" * 50, "foo/later.py": b"x"}
        wheel = zipped(members, compression=compression, comment=comment)
        assert wheel_metadata(io.BytesIO(wheel), "foo") == members["foo-1.0.dist-info/METADATA"]

    def test_only_the_projects_own_metadata_at_the_top_counts(self) -> None:
        members = {
            "foo-1.0.dist-info/METADATA": b"right",
            "foo/_vendor/foo-9.dist-info/METADATA": b"vendored",
            "foo/bar-1.0.dist-info/METADATA": b"other",
            "foo-1.0.dist-info/METADATA.json": b"{}",
        }
        assert wheel_metadata(io.BytesIO(zipped(members)), "foo") == b"right"

    @pytest.mark.parametrize(
        "content",
        [b"", b"PK", b"\0" * 100, b"PK\x05\x06" + b"\xff" * 18, zipped({"a": b"b"}), zipped({})],
    )
    def test_what_is_no_such_wheel_gives_nothing(self, content: bytes) -> None:
        assert wheel_metadata(io.BytesIO(content), "foo") is None

    def test_a_bomb_is_not_unpacked(self) -> None:
        wheel = bytearray(zipped({"foo-1.0.dist-info/METADATA": b"\0" * 70_000_000}))
        assert wheel_metadata(io.BytesIO(bytes(wheel)), "foo") is None
        struct.pack_into(
            "<L", wheel, wheel.rfind(b"PK\x01\x02") + 24, 100
        )  # the directory claims 100 bytes
        assert wheel_metadata(io.BytesIO(bytes(wheel)), "foo") is None

    @given(st.data())
    def test_no_damage_raises(self, data: st.DataObject) -> None:
        wheel = bytearray(build_wheel("foo", "1.0").content)
        for _ in range(data.draw(st.integers(1, 4))):
            wheel[data.draw(st.integers(0, len(wheel) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(wheel)))
        for damaged in (wheel, wheel[:cut], wheel[cut:]):
            wheel_metadata(io.BytesIO(bytes(damaged)), "foo")
