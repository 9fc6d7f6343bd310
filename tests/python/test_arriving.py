"""Set-ups of devpi, pypiserver, Pulp and Nexus as manifests.

The index of the devpi export is what `devpi-export` 6.20 wrote, without keys that say nothing here.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.main import run
from reconciler.errors import ReconcilerError
from reconciler.plugin import Description, Draft, Malformed
from reconciler_python.arriving.translation import translate
from tests.support.mirror import call
from tests.support.wheels import build_sdist, build_wheel

MIRROR = {"type": "mirror", "title": "Index", "mirror_url": "https://index.example.org/simple/"}
STAGE = {
    "acl_upload": ["alice", ":ANONYMOUS:"],
    "acl_toxresult_upload": [":ANONYMOUS:"],
    "bases": ["alice/base", "root/up", "gone/base"],
    "mirror_whitelist": ["foo"],
    "mirror_whitelist_inheritance": "intersection",
    "type": "stage",
    "volatile": True,
}
RELEASE = {
    "version": "1.0",
    "entrymapping": {"hash_spec": "sha256=6da8", "project": "foo", "version": "1.0"},
    "type": "releasefile",
    "projectname": "foo",
    "relpath": "alice/dev/foo/1.0/foo-1.0-py3-none-any.whl",
}
EXPORT = {
    "users": {"alice": {"pwhash": "$argon2id$...", "username": "alice"}},
    "indexes": {
        "root/up": {"indexconfig": MIRROR},
        "alice/base": {"indexconfig": {"type": "stage", "volatile": False}, "projects": {}},
        "alice/dev": {
            "indexconfig": STAGE,
            "projects": {"foo": {"1.0": {"name": "foo"}}},
            "files": [RELEASE],
        },
    },
    "dumpversion": "2",
}
REMOTE: dict[str, Any] = {
    "pulp_href": "/pulp/api/v3/remotes/python/python/01/",
    "name": "Up",
    "url": "https://index.example.org/",
    "policy": "on_demand",
    "includes": ["django>=5", "six", "a b"],
    "excludes": ["django==5.0.1"],
    "prereleases": True,
    "package_types": ["bdist_wheel", "sdist"],
    "exclude_platforms": ["windows"],
    "keep_latest_packages": 3,
    "download_concurrency": 10,
    "rate_limit": None,
    "sock_read_timeout": 30.0,
    "tls_validation": True,
    "hidden_fields": [{"name": "username", "is_set": True}, {"name": "password", "is_set": True}],
}
PULP: list[dict[str, Any]] = [
    REMOTE,
    {
        "pulp_href": "/pulp/api/v3/repositories/python/python/02/",
        "name": "team",
        "remote": REMOTE["pulp_href"],
        "retain_repo_versions": 3,
    },
    {
        "pulp_href": "/pulp/api/v3/distributions/python/pypi/03/",
        "name": "team-dist",
        "base_path": "team/main",
        "repository": "/pulp/api/v3/repositories/python/python/02/",
        "allow_uploads": True,
    },
    {"pulp_href": "/pulp/api/v3/repositories/rpm/rpm/04/", "name": "rpms"},
]
NEXUS: list[dict[str, Any]] = [
    {"name": "own", "format": "pypi", "type": "hosted", "storage": {"writePolicy": "ALLOW_ONCE"}},
    {
        "name": "up",
        "format": "pypi",
        "type": "proxy",
        "proxy": {"remoteUrl": "https://index.example.org/"},
        "httpClient": {
            "authentication": {"type": "username", "username": "ci"},
            "connection": {"retries": 2, "timeout": 60},
        },
        "routingRuleName": "no-evil",
    },
    {"name": "all", "format": "pypi", "type": "group", "group": {"memberNames": ["own", "up"]}},
    {"name": "js", "format": "npm", "type": "hosted"},
]


def specs(draft: Draft) -> dict[str, Any]:
    """Return specs by `Kind/name`."""
    return {f"{each.kind}/{each.name}": each.spec for each in draft.resources}


def lost(draft: Draft) -> list[str]:
    return [remark.option for remark in draft.remarks if remark.lost]


def draft(path: Path, kind: str | None = None) -> Draft:
    result = translate(Description(path, kind))
    assert result is not None
    return result


def described(folder: Path, value: Any, name: str = "listing.json") -> Draft:
    (folder / name).write_text(json.dumps(value))
    return draft(folder / name)


def test_indexes_of_devpi_keep_their_bases_uploaders_and_paths(tmp_path: Path) -> None:
    result = described(tmp_path, EXPORT, "dataindex.json")
    wanted = specs(result)
    assert wanted["Remote/root-up"] == {
        "type": "python",
        "url": "https://index.example.org/simple/",
        "policy": "on-demand",
    }
    assert "Repository/root-up" not in wanted  # no export tells what clients would ask for
    assert wanted["Repository/alice-dev"]["sources"] == [
        {"upload": {}},
        {"remote": {"name": "alice-dev-files", "everything": True, "sharedProjects": ["*"]}},
        {"repository": {"name": "alice-base", "sharedProjects": ["foo"]}},
    ]
    assert wanted["Publication/alice-dev"]["path"] == "alice/dev"
    assert wanted["Publication/alice-dev"]["access"]["upload"] == [
        {"username": "alice", "password": {"env": "ALICE_PASSWORD"}}
    ]
    assert lost(result) == [
        "root/up mirror_url",
        "root/up title",
        "alice/dev bases",
        "alice/dev bases",
        "alice/dev acl_upload",
        "alice/dev volatile",
    ]


def test_a_mirror_of_devpi_selects_what_its_clients_had_asked_for(tmp_path: Path) -> None:
    mirror = {"indexconfig": MIRROR, "projects": {"Foo": {}, "six": {}}}
    indexes = {"root/up": mirror, "a/b": {"indexconfig": {"bases": ["root/up"]}}}
    wanted = specs(described(tmp_path, {"indexes": indexes}, "dataindex.json"))
    source = {"remote": {"name": "root-up", "include": ["foo", "six"]}}
    assert wanted["Repository/root-up"]["sources"] == [source]
    assert wanted["Repository/a-b"]["sources"][1] == {"repository": {"name": "root-up"}}


@pytest.mark.parametrize("index", ["../../etc", "/etc/x", "a/..", "a", "a/b/c", "a/\n"])
def test_an_index_is_never_a_way_out_of_the_export(index: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="is no index"):
        described(tmp_path, {"indexes": {index: {"indexconfig": {}}}}, "dataindex.json")


def test_what_a_devpi_export_holds_is_taken_over_and_goes_on_with_uploads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for user in ("ALICE", "BOB"):
        monkeypatch.setenv(f"{user}_PASSWORD", "a long password")
    held, new = build_wheel("foo", "1.0"), build_sdist("foo", "1.1")
    folder = tmp_path / "export/alice/dev/foo/1.0"
    folder.mkdir(parents=True)
    (folder / held.filename).write_bytes(held.content)
    (tmp_path / new.filename).write_bytes(new.content)
    (tmp_path / "export/dataindex.json").write_text(json.dumps(EXPORT))
    assert run(["init", "--from", "export"]) == 0
    allow = ["--allow-path", str(tmp_path / "export/alice/dev")]
    assert run(["apply", "manifests", *allow]) == 0
    assert run(["upload", "alice-dev", new.filename]) == 0  # of a project that the export has
    assert "No changes" in call(["plan", "manifests", *allow]).out


def test_pulp_selects_the_same_and_names_what_it_has_no_word_for(tmp_path: Path) -> None:
    result = described(tmp_path, PULP)
    wanted = specs(result)
    assert wanted["Remote/up"] == {
        "type": "python",
        "url": "https://index.example.org/simple/",
        "policy": "on-demand",
        "concurrency": 10,
        "auth": {"username": {"env": "UP_USER_PASSWORD"}, "password": {"env": "UP_PASSWORD"}},
        "timeouts": {"read": "30s"},
    }
    assert wanted["Repository/team"]["sources"] == [
        {
            "remote": {
                "name": "up",
                "include": ["django>=5", "six"],
                "exclude": ["django==5.0.1"],
                "filter": {
                    "platforms": ["any", "linux", "macos", "android", "ios"],
                    "packageTypes": ["wheel", "sdist"],
                    "prereleases": "allow",
                    "latest": 3,
                },
            }
        }
    ]
    assert wanted["Publication/team-dist"] == {
        "repository": "team",
        "path": "team/main",
        "access": {"upload": [{"token": {"env": "TEAM_DIST_TOKEN"}}]},
    }
    assert lost(result) == ["pulp_href", "Up includes", "team retain_repo_versions"]


def test_hosted_repositories_and_groups_of_nexus_stay_where_they_were_served(
    tmp_path: Path,
) -> None:
    result = described(tmp_path, NEXUS)
    wanted = specs(result)
    assert wanted["Publication/own"] == {
        "repository": "own",
        "path": "repository/own",
        "access": {"upload": [{"token": {"env": "OWN_TOKEN"}}]},
    }
    assert wanted["Remote/up"]["auth"] == {"username": "ci", "password": {"env": "UP_PASSWORD"}}
    assert wanted["Repository/all"]["sources"] == [{"repository": {"name": "own"}}]
    assert lost(result) == ["js", "up routingRuleName", "up proxy", "all group"]


def test_the_command_line_of_pypiserver_tells_folder_and_users(tmp_path: Path) -> None:
    (tmp_path / "pk").mkdir()
    (tmp_path / "users").write_text("ci:$apr1$x\nalice:$apr1$y\n-bad:x\n")
    unit = (
        "[Service]\nExecStart=/bin/pypi-server run -p 80 -P users \\\n  -a update,download -o pk\n"
    )
    (tmp_path / "packages.service").write_text(unit)
    result = draft(tmp_path / "packages.service")
    wanted = specs(result)
    assert wanted["Remote/packages-files"]["url"] == f"{(tmp_path / 'pk').resolve()}/"
    users = [
        {"username": "ci", "password": {"env": "CI_PASSWORD"}},
        {"username": "alice", "password": {"env": "ALICE_PASSWORD"}},
    ]
    assert wanted["Publication/packages"]["access"] == {"upload": users, "read": users}
    assert lost(result) == ["--overwrite", "--port", "--disable-fallback"]


def test_a_user_of_another_machine_is_no_fault_of_ours(tmp_path: Path) -> None:
    script = tmp_path / "start.sh"
    script.write_text("pypi-server run -P ~of-elsewhere/passwords ~of-elsewhere/packages\n")
    made = draft(script)
    assert "package_directory" in lost(made)
    assert not made.reads


def test_a_folder_of_distributions_is_one_of_pypiserver(tmp_path: Path) -> None:
    (tmp_path / "foo-1.0-py3-none-any.whl").write_bytes(b"")
    result = draft(tmp_path)
    assert result.reads == [str(tmp_path.resolve())]
    assert "access" not in specs(result)["Publication/packages"]


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("dataindex.json", '{\n"indexes": }', "dataindex.json:2: "),
        ("dataindex.json", "[" * 100_000, "dataindex.json"),
        ("dataindex.json", '{"indexes": {"a/b": 3}}', "dataindex.json: "),
        ("x.json", '[{"pulp_href": 1},\n\n}', "x.json:3: "),
        ("x.sh", "pypi-server run 'x", "x.sh:1: No closing quotation"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    name: str, text: str, *, place: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Malformed) as caught:
        translate(Description(tmp_path / name))
    assert place in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                sorted({*REMOTE, *STAGE, *MIRROR, *NEXUS[1], "indexes", "indexconfig"})
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=30)
@given(JSON, st.sampled_from(["devpi", "pulp", "nexus", None]))
def test_json_of_any_shape_is_a_draft_or_an_error_with_a_message(
    tmp_path_factory: pytest.TempPathFactory, value: Any, kind: str | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps([{**REMOTE, "includes": value}, value, {**PULP[1], "name": value}]))
    for text in (path.read_text(), json.dumps(value), json.dumps({"indexes": {"a/b": value}})):
        path.write_text(text)
        with suppress(ReconcilerError):
            result = translate(Description(path, kind))
            assert result is None or isinstance(result, Draft)
