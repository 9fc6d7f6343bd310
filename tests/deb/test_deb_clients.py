"""Real programs: archives of reprepro and aptly, signed by gpg; apt and mirrors read from us."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.plugin import Malformed, Refused
from reconciler_deb.publishing.signing import SigningKey, key_facts
from reconciler_deb.releases.signatures import Keyring
from tests.support.apt import AptClient, control, deb, odd_archive, tools
from tests.support.clients import served
from tests.support.mirror import Mirror, resource

MOMENT = datetime(2026, 1, 5, 10, tzinfo=UTC)
CONF = """Origin: Upstream
Suite: stable
Codename: bookworm
Architectures: amd64 source
Components: main
SignWith: {key}
"""
PACKAGES = {
    "app_1_amd64.deb": control("app", "1", Section="web", Priority="optional", Depends="libfoo1"),
    "libfoo1_2_amd64.deb": control("libfoo1", "2:1.0+b1~x", Section="libs", Priority="optional"),
    "tool_1_all.deb": control("tool", "1.0", "all", Section="web", Priority="optional"),
    "game_1_amd64.deb": control("game", "1.0", Section="games", Priority="optional"),
}


@pytest.fixture
def gnupg() -> Iterator[Path]:
    """A home of gpg; its path is short, for the sockets in it."""
    tools("gpg", "gpgv", "gpgconf")
    folder = Path(tempfile.mkdtemp(prefix="g", dir=tempfile.gettempdir()))
    yield folder
    subprocess.run(["gpgconf", "--homedir", str(folder), "--kill", "all"], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def gpg(home: Path, *words: str, text: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", *words]
    return subprocess.run(command, input=text, capture_output=True, check=True).stdout


def make_key(home: Path, address: str, *options: str) -> bytes:
    """Make a key, and return its public part, armoured."""
    gpg(home, *options, "--quick-gen-key", address, "ed25519", "sign", "1y")
    return gpg(home, "--armor", "--export", address)


def revoke(home: Path, address: str) -> bytes:
    """Revoke a key, and return its public part, armoured."""
    [line] = [
        line
        for line in gpg(home, "--with-colons", "--list-keys", address).decode().splitlines()
        if line.startswith("fpr:")
    ]
    certificate = home / f"openpgp-revocs.d/{line.split(':')[9]}.rev"
    gpg(home, "--import", text=certificate.read_bytes().replace(b":-----", b"-----"))
    return gpg(home, "--armor", "--export", address)


def reprepro(folder: Path, home: Path, address: str) -> Path:
    """An archive that reprepro makes."""
    tools("reprepro")
    archive = folder / "archive"
    (archive / "conf").mkdir(parents=True)
    (archive / "conf/distributions").write_text(CONF.format(key=address))
    paths = []
    for name, text in PACKAGES.items():
        (folder / name).write_bytes(deb(text))
        paths.append(str(folder / name))
    command = ["reprepro", "-b", str(archive), "includedeb", "bookworm", *paths]
    environment = {**os.environ, "GNUPGHOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return archive


def aptly(folder: Path, url: str, gnupg: Path, key: str) -> Path:
    """Return an archive that aptly makes, signed by `key`, of what it mirrors from us."""
    tools("aptly")
    configuration = folder / "aptly.json"
    configuration.write_text(json.dumps({"rootDir": f"{folder}/aptly", "gpgProvider": "gpg"}))
    ring = f"-keyring={folder}/ours.gpg"
    for words in (
        ["mirror", "create", ring, "-architectures=amd64", "ours", f"{url}debian", "bookworm"],
        ["mirror", "update", ring, "ours"],
        ["snapshot", "create", "today", "from", "mirror", "ours"],
        ["publish", "snapshot", "-batch", f"-gpg-key={key}", "-distribution=bookworm", "today"],
    ):
        done = subprocess.run(
            ["aptly", f"-config={configuration}", *words],
            env={**os.environ, "GNUPGHOME": str(gnupg)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "aptly/public"


def debmirror(folder: Path, url: str) -> set[str]:
    """Return the names of the packages that debmirror fetches from us."""
    tools("debmirror")
    words = ["debmirror", "--method=http", f"--host={url.split('/')[2]}", "--root=debian"]
    words += ["--dist=bookworm", "--section=main", "--arch=amd64", "--nosource", "--i18n"]
    words += ["--rsync-extra=none", f"--keyring={folder}/ours.gpg", str(folder / "debmirror")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.name for path in (folder / "debmirror").rglob("*.deb")}


def manifests(archive: Path) -> list[str]:
    """Part of this archive, signed by `archive.asc`, published with the key in `ours.asc`."""
    return [
        resource("Remote", "up", f"type: deb\nurl: {archive}/\nkeys: [archive.asc]"),
        resource(
            "Repository",
            "debian",
            "type: deb\nsources:\n  - remote: {name: up, suites: [bookworm],"
            " include: [app, tool], dependencies: true}",
        ),
        resource(
            "Publication",
            "debian",
            "repository: debian\npath: debian\narchitectures: [amd64]\nvalidFor: 7d\n"
            "signing: {key: {file: ours.asc}}",
        ),
    ]


def odd_manifests() -> list[str]:
    """Publish the archive in `odd`, under the names that it has there."""
    return [
        resource("Remote", "odd", "type: deb\nurl: ./odd/\ntrusted: true"),
        resource(
            "Repository",
            "odd",
            "type: deb\nsources:\n  - remote: {name: odd, suites: [stable], everything: true,"
            " architectures: [amd64, source]}",
        ),
        resource(
            "Publication",
            "odd",
            "repository: odd\npath: odd\npool: upstream\ncompressions: [zst]",
        ),
    ]


def test_a_signed_archive_is_mirrored_and_apt_installs_from_it(gnupg: Path, tmp_path: Path) -> None:
    tools("apt-get")
    key = make_key(gnupg, "archive@example.org")
    archive = reprepro(tmp_path, gnupg, "archive@example.org")
    (tmp_path / "archive.asc").write_bytes(key)
    ours = make_key(gnupg, "ours@example.org")
    (tmp_path / "ours.pub").write_bytes(ours)
    secret = gpg(gnupg, "--armor", "--export-secret-keys", "ours@example.org")
    (tmp_path / "ours.asc").write_bytes(secret)
    (tmp_path / "ours.gpg").write_bytes(gpg(gnupg, "--export", "ours@example.org"))
    odd = odd_archive(tmp_path / "odd")
    mirror = Mirror(tmp_path, *manifests(archive), *odd_manifests())
    mirror.applied()
    assert not mirror.pending()
    with served(mirror.home.root) as url:
        apt = AptClient(
            tmp_path / "apt",
            f"deb [signed-by={tmp_path}/ours.pub] {url}debian bookworm main\n"
            f"deb [trusted=yes] {url}odd stable main\ndeb-src [trusted=yes] {url}odd stable main",
        )
        assert "InRelease" in apt.run("apt-get", "update")
        apt.run("apt-get", "install", "--yes", "--download-only", "app", "tool")
        apt.run("apt-get", "download", "percent", "colon")
        apt.run("apt-get", "source", "--download-only", "own")
        assert {name: (apt.folder / name).read_bytes() for name in odd} == odd
        mirrored = debmirror(tmp_path, url)
        copied = aptly(tmp_path, url, gnupg, "archive@example.org")
    assert {path.name for path in copied.rglob("*.deb")} == mirrored
    mirror.declare(*manifests(copied), *odd_manifests())
    [said] = [line for line in mirror.applied().splitlines() if line.startswith("~ Repository")]
    assert said.endswith("~3 packages"), "other paragraphs, the same bytes: nothing to download"
    assert mirrored == {"app_1_amd64.deb", "libfoo1_1.0+b1~x_amd64.deb", "tool_1.0_all.deb"}
    assert apt.downloaded() == {
        "app_1_amd64.deb": deb(PACKAGES["app_1_amd64.deb"]),
        "libfoo1_2%3a1.0+b1~x_amd64.deb": deb(PACKAGES["libfoo1_2_amd64.deb"]),
        "tool_1.0_all.deb": deb(PACKAGES["tool_1_all.deb"]),
    }


def test_a_flat_archive_is_read_and_gets_a_suite(tmp_path: Path) -> None:
    tools("apt-ftparchive")
    archive = tmp_path / "vendor/apt"
    archive.mkdir(parents=True)
    for name, text in PACKAGES.items():
        (archive / name).write_bytes(deb(text))

    def listed(words: str) -> bytes:
        command = ["apt-ftparchive", *words.split()]
        return subprocess.run(
            command, cwd=tmp_path / "vendor", capture_output=True, check=True
        ).stdout

    (archive / "Packages").write_bytes(listed("packages apt"))
    (archive / "Release").write_bytes(listed("release apt"))
    mirror = Mirror(
        tmp_path,
        resource("Remote", "up", "type: deb\nurl: ./vendor/\ntrusted: true"),
        resource(
            "Repository",
            "team",
            "type: deb\nsources:\n  - remote: {name: up, suites: [apt/], include: [app],"
            " architectures: [amd64], dependencies: true}",
        ),
    )
    mirror.applied()
    assert mirror.filenames() == ["apt/app_1_amd64", "apt/libfoo1_2:1.0+b1~x_amd64"]


def test_gpgv_verifies_with_the_named_keys_alone(gnupg: Path) -> None:
    """Kind: a signature that gpgv calls valid, by a key that no longer counts or is not named."""
    named = make_key(gnupg, "archive@example.org")
    expired = make_key(gnupg, "old@example.org", "--faked-system-time", "20200101T000000")
    text = b"Suite: stable\n- dash\n"
    signed = gpg(gnupg, "--local-user", "archive@example.org", "--clearsign", text=text)
    detached = gpg(gnupg, "--local-user", "archive@example.org", "--detach-sign", text=text)
    old = gpg(
        gnupg, "--faked-system-time", "20200601T000000", "--local-user", "old@example.org",
        "--clearsign", text=text,
    )  # fmt: skip
    make_key(gnupg, "lost@example.org")
    lost = gpg(gnupg, "--local-user", "lost@example.org", "--clearsign", text=text)
    files = [("archive.asc", named), ("old.asc", expired)]
    keyring = Keyring([*files, ("lost.asc", revoke(gnupg, "lost@example.org"))])
    assert keyring.verified_text(signed) == text
    assert keyring.verified_text(text, detached) == text
    for body, fault in (
        (signed.replace(b"stable", b"other"), "was changed"),
        (old, "old@example.org.* has expired"),
        (lost, "lost@example.org.* was revoked"),
    ):
        with pytest.raises(Exception, match=fault):
            keyring.verified_text(body)
    with pytest.raises(Exception, match="was changed"):
        keyring.verified_text(b"other", detached)
    with pytest.raises(Exception, match="which `keys` does not hold"):
        Keyring([("old.asc", expired)]).verified_text(signed)


def test_a_release_is_signed_at_its_moment_by_one_usable_key(gnupg: Path) -> None:
    """Kind: a signature older than its key, which no client believes."""
    public = make_key(gnupg, "ours@example.org", "--faked-system-time", "20260601T000000")
    secret = gpg(gnupg, "--armor", "--export-secret-keys", "ours@example.org").decode()
    key, text = SigningKey(secret), b"Suite: stable\n"
    keyring = Keyring([("ours.asc", public)])
    assert key.facts.owner == "ours@example.org"
    signed = key.sign(text, "clearsigned", MOMENT)
    assert keyring.verified_text(signed) == text
    assert keyring.verified_text(text, key.sign(text, "detached", MOMENT)) == text
    assert signed == key.sign(text, "clearsigned", MOMENT), "the moment is that of the version"
    with pytest.raises(Refused, match="gpg cannot use the signing key"):
        SigningKey("text").facts  # noqa: B018


@pytest.mark.parametrize(
    ("listing", "fault"),
    [
        ("", "holds no secret keys"),
        ("sec:u:255:22:AA:1:::u:::SC:\nsec:u:255:22:AA:1:::u:::SC:", "holds 2 secret keys"),
        ("sec:e:255:22:AA:1:::u:::SC:\nuid:e::::1::AB::Old <o@example.org>:", "Old .* has expired"),
        ("sec:r:255:22:AA:1:::u:::SC:\nuid:r::::1::AB::Old <o@example.org>:", "Old .* was revoked"),
        ("sec:u:255:22:AA:1:::u:::E:", "cannot sign"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_by_name(listing: str, fault: str) -> None:
    with pytest.raises((Malformed, Refused), match=fault):
        key_facts(listing)
