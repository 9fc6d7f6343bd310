"""Digests that are pinned for ever: a change of one is a breaking release."""

from __future__ import annotations

from reconciler.model import (
    EMPTY_VERSION,
    Artifact,
    Digest,
    Unit,
    bucket_digest,
    bucket_of,
    group_digest,
    identify,
    stored_unit,
    version_digest,
)

WHEEL = Unit(
    "python.distribution",
    "foo-1.0-py3-none-any.whl",
    {
        "version": "1.0",
        "requires-python": ">=3.9",
        "yanked": False,
        "später": ["ü", 7, None],
        "_url": "dropped",
    },
    [
        Artifact(
            "foo-1.0-py3-none-any.whl.metadata",
            "b" * 64,
            None,
            "https://files.example.org/m",
            "foo-1.0-py3-none-any.whl",
        ),
        Artifact("foo-1.0-py3-none-any.whl", "a" * 64, 1234, "https://files.example.org/w"),
    ],
)
SDIST = Unit(
    "python.distribution",
    "foo-1.0.tar.gz",
    {"version": "1.0"},
    [Artifact("foo-1.0.tar.gz", "c" * 64, 99)],
)


def test_a_unit_is_its_type_group_key_artifacts_and_declared_metadata() -> None:
    wheel, sdist = identify(WHEEL, "foo"), identify(SDIST, "foo")
    assert wheel.body.decode() == (
        '{"artifacts":[{"path":"foo-1.0-py3-none-any.whl","sha256":"' + "a" * 64 + '","size":1234},'
        '{"path":"foo-1.0-py3-none-any.whl.metadata","sha256":"' + "b" * 64 + '","size":null}],'
        '"group":"foo","key":"foo-1.0-py3-none-any.whl",'
        '"metadata":{"requires-python":">=3.9","später":["ü",7,null],"version":"1.0","yanked":false},"type":"python.distribution"}'
    )
    assert wheel.digest.hex == "5429348ade3538a6d9b4d61cda449c7fee032a6f7b742895ad652247309c45f9"
    assert sdist.digest.hex == "44cf73727dba7af9958bbf799d44f8affc08fc80c99192cb94c891f8ab4f9d9b"
    assert stored_unit(wheel.body).metadata["später"] == ["ü", 7, None]


def test_a_group_is_the_set_of_its_units() -> None:
    wheel, sdist = identify(WHEEL, "foo").digest, identify(SDIST, "foo").digest
    both = "872b4b828cd3e8319d7eec99d30f1e59066036721187ddfc064fc9ea660ccb07"
    assert group_digest([wheel, sdist]).hex == group_digest([sdist, wheel, sdist]).hex == both
    assert (
        group_digest([sdist]).hex
        == "23d2d64660572ea5eb5fe0e25d7661662f73aa040525f2519f2b6e8a854a454c"
    )


def test_a_version_is_its_buckets() -> None:
    wheel, sdist = identify(WHEEL, "foo").digest, identify(SDIST, "foo").digest
    group, other = group_digest([wheel, sdist]), group_digest([sdist])
    assert (bucket_of("foo"), bucket_of("bär")) == (3110, 1303)
    assert (
        bucket_digest([other, group]).hex
        == "fbb884a7d6cd398b9f75f52816e3e2f172880c5be3d078aa134d1a5f45649a10"
    )
    buckets = [
        (bucket_of("foo"), bucket_digest([group])),
        (bucket_of("bär"), bucket_digest([other])),
    ]
    assert (
        version_digest(buckets).hex
        == "4dc3c2ce7613890691fede364d34bc9990c7beb0f1c9c27e5a1ab8a6bd5895fd"
    )
    assert version_digest(reversed(buckets)) == version_digest(buckets)


def test_the_empty_version_is_the_digest_of_an_empty_list() -> None:
    assert EMPTY_VERSION.hex == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert Digest.of(b"[]") == EMPTY_VERSION
