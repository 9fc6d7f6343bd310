"""R8: twine, uv and the command line upload, and pip installs what they sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model import stored_unit
from tests.support.clients import ended, pip_installs, program, run, served, uv_installs
from tests.support.mirror import Mirror, call, publication, remote, repository
from tests.support.source import ROOT
from tests.support.wheels import Built, build_sdist, build_wheel

ATTESTED = ROOT / "tests/python/attested_files"
SIGNED = "gitlab_oidc_project-0.0.3.tar.gz"
TOKEN = "t0ken-of-the-own-index"


def written(folder: Path, *files: Built) -> list[str]:
    folder.mkdir(exist_ok=True)
    paths = [folder / file.filename for file in files]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file.content)
    return [str(path) for path in paths]


def test_r8_twine_and_uv_publish_and_pip_installs_at_once(tmp_path: Path) -> None:
    text = (ROOT / "manifests/10-own-packages.yaml").read_text(encoding="utf-8")
    mirror = Mirror(tmp_path, text)
    mirror.applied()
    wheel, sdist = build_wheel("acme-app", "1.0"), build_sdist("acme-app", "1.0")
    dist = written(tmp_path / "dist", wheel, sdist)
    changed = written(tmp_path / "changed", build_wheel("acme-app", "1.0", padding=b"x"))
    with served(mirror.home.root, OWN_TOKEN=TOKEN) as url:
        legacy, index = f"{url}own/legacy/", f"{url}own/simple/"
        twine = [program("twine"), "upload", "--non-interactive", "--disable-progress-bar"]
        twine += ["--repository-url", legacy, "-u", "__token__", "-p", TOKEN]
        uv = [program("uv"), "publish", "--publish-url", legacy, "--token", TOKEN]
        run([*twine, *dist], tmp_path)
        pip_installs(index, tmp_path, "acme-app")
        assert (tmp_path / "pip/acme_app.py").read_text() == 'VERSION = "1.0"\n'
        assert "already exists" not in run([*uv, *dist], tmp_path), "the same again is fine"
        assert "skipping" in run([*uv, "--check-url", index, *dist], tmp_path)
        code, told = ended([*uv, *changed], tmp_path)
        assert code != 0
        assert "409 Conflict" in told
        assert "already exists" in told
        code, told = ended([*uv[:-1], "another", *changed], tmp_path)
        assert code != 0
        assert "401 Unauthorized" in told
        mirror.declare(text.replace("  path: own\n", f"  path: own\n  baseUrl: {url}own/\n"))
        mirror.applied()
        assert not mirror.pending(), "an apply leaves uploads alone"
        run([*uv, ATTESTED / SIGNED, ATTESTED / f"{SIGNED}.publish.attestation"], tmp_path)
        assert provenance_of(copied(tmp_path / "copy", index)) == provenance_of(mirror)
    home = ["--home", str(mirror.home.root)]
    history = call(["history", "repository/own", "-o", "json", *home]).document
    assert [(each["number"], each["added"]) for each in history] == [(3, 1), (2, 1), (1, 1)]


def copied(folder: Path, index: str) -> Mirror:
    """Another installation, which mirrors what is attested."""
    attested = "name: up, include: [gitlab-oidc-project], filter: {attestations: required}"
    copy = Mirror(folder, remote(index), repository("own", sources=[attested]), publication("own"))
    copy.applied()
    return copy


def provenance_of(mirror: Mirror) -> str:
    """The digest of the provenance object that is held of the signed file."""
    with mirror.home.database() as database:
        reader = database.reader()
        state = reader.actual_state().repositories["own"]
        rows = reader.find_units(state.id, state.number, SIGNED)
    [digest] = [
        artifact.sha256
        for row in rows
        for artifact in stored_unit(row.body).artifacts
        if artifact.path == f"{SIGNED}.provenance"
    ]
    return digest


def test_r7_pip_and_uv_read_a_private_index_with_their_credentials_only(tmp_path: Path) -> None:
    made = call(["token", "-o", "json"]).document
    text = (ROOT / "manifests/10-own-packages.yaml").read_text(encoding="utf-8")
    rules = (
        "  access:\n    read:\n"
        f"      - {{tokenDigest: '{made['tokenDigest']}', projects: [acme-*]}}\n"
    )
    mirror = Mirror(tmp_path, text.replace("  access:\n", rules))
    mirror.applied()
    files = written(tmp_path / "dist", build_wheel("acme-app", "1.0"), build_wheel("other", "1.0"))
    assert call(["upload", "own", *files, "--home", str(mirror.home.root)]).code == 0
    with served(mirror.home.root, OWN_TOKEN=TOKEN) as url:
        index = f"{url}own/simple/"
        private = index.replace("http://", f"http://__token__:{made['token']}@")
        pip_installs(private, tmp_path, "acme-app")
        assert (tmp_path / "pip/acme_app.py").exists()
        uv_installs(private, tmp_path, "acme-app")
        for refused, reason in ((index, "401"), (private, "other")):
            with pytest.raises(AssertionError, match=reason):
                uv_installs(refused, tmp_path, "other")
