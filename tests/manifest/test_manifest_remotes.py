"""Remotes in manifests: settings, rates, addresses and places on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import Origin
from reconciler.model import Auth, DesiredState, Secret, Tls
from tests.manifest.conftest import GOLDEN, Reading, Refusal, manifest


def test_a_remote_has_every_setting(sound: DesiredState) -> None:
    remote = sound.remotes["famous"]
    assert (remote.type, remote.index, remote.url, remote.policy) == (
        "quotes",
        None,
        "https://quotes.example.org/simple/",
        "immediate",
    )
    assert remote.auth == Auth(Secret(env="INDEX_USER"), Secret(file=str(GOLDEN / "secrets/index")))
    assert remote.tls == Tls(
        False,
        str(GOLDEN / "certs/ca.pem"),
        str(GOLDEN / "certs/me.pem"),
        Secret(file=str(GOLDEN / "certs/me.key")),
    )
    assert remote.headers == {"X-Team": "data", "Authorization": Secret(env="INDEX_TOKEN")}
    assert (remote.connect_timeout, remote.read_timeout, remote.total_timeout) == (
        10.0,
        60.0,
        600.0,
    )
    assert (remote.retries, remote.concurrency, remote.rate_limit, remote.proxy) == (
        4,
        32,
        10.0,
        "http://proxy.example.org:3128",
    )
    assert (remote.meta.labels, remote.meta.annotations) == (
        {"team": "data"},
        {"example.org/note": "hello"},
    )
    assert remote.meta.origin == Origin(str(GOLDEN / "sound.yaml"), 2, 1)


def test_a_remote_without_settings_has_the_defaults_of_the_model(reading: Reading) -> None:
    remote = reading(manifest("Remote", "{type: quotes, index: famous}")).remotes["it"]
    assert (remote.index, remote.url, remote.auth, remote.tls, remote.proxy) == (
        "famous",
        None,
        None,
        Tls(),
        None,
    )
    assert (remote.connect_timeout, remote.read_timeout, remote.total_timeout) == (
        10.0,
        60.0,
        1800.0,
    )
    assert (remote.retries, remote.concurrency, remote.rate_limit, dict(remote.headers)) == (
        4,
        32,
        None,
        {},
    )
    assert remote.spec == {"type": "quotes", "index": "famous"}


@pytest.mark.parametrize(("written", "most"), [("50/s", 50.0), ("600/m", 10.0), ("1800/h", 0.5)])
def test_rates(reading: Reading, written: str, most: float) -> None:
    assert (
        reading(manifest("Remote", f"{{type: quotes, index: famous, rateLimit: {written}}}"))
        .remotes["it"]
        .rate_limit
        == most
    )


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "example.org",
        "https://",
        "http://[::1",
        "http://a:99999/",
        "https://e.org/?token=t",
        "https://e.org/#f",
        '"https://e.org/ x"',
        "file://host/etc",
        "file:etc",
        "file:///etc?x",
        "file:///%00",
        "~/files/",
        "files/",
        "..",
        '"/a\\nb"',
    ],
)
def test_only_plain_addresses_and_paths_that_show_themselves_are_remotes(
    refusal: Refusal, url: str
) -> None:
    (fault,) = refusal(
        manifest(
            "Remote", f"{{type: quotes, url: '{url}'}}".replace("'\"", '"').replace("\"'", '"')
        )
    )
    assert fault.message.startswith("`spec.url`: ")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("./files/", "file://{folder}/files/"),
        ("../files", "file://{parent}/files"),
        ("./a/../b c#?.txt", "file://{folder}/b%20c%23%3F.txt"),
        ("./.", "file://{folder}/"),
        ("../", "file://{parent}/"),
        ("/srv/./files/", "file:///srv/files/"),
        ("//srv/files", "file:///srv/files"),
        ("/", "file:///"),
        ("file:///srv/a%20b/", "file:///srv/a%20b/"),
    ],
)
def test_a_remote_may_be_a_place_on_disk(
    reading: Reading, tmp_path: Path, written: str, url: str
) -> None:
    remote = reading(manifest("Remote", f"{{type: quotes, url: '{written}'}}")).remotes["it"]
    assert remote.url == url.format(folder=tmp_path, parent=tmp_path.parent)
    assert remote.spec["url"] == written
