"""Pages that say where they are served: with a server, in exports, and what plugins may not.

Kind: an address that is known only once a client asks, in a page that is rendered long before.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import ManifestFaults
from reconciler.plugin import PublishConduit
from tests.engine.publishing.withheld import declare, two_groups
from tests.support.asgi import AsgiResponse, Client
from tests.support.rehearsal import Rehearsal, publication

EXPORT = "exports: [{directory: {path: www}}]"
TAR = "dl/one.tgz"


def addressed(conduit: PublishConduit) -> None:
    """Publish pages that say where they are: one of a folder, one of the root."""
    for name in conduit.changed_groups():
        with conduit.group(name) as output:
            units = [conduit.base_url + unit.key for unit in conduit.units(name)]
            output.page(f"{name}/", json.dumps(units).encode(), "application/json")
    with conduit.whole_repository() as output:
        output.page("", json.dumps({"dl": f"{conduit.base_url}{TAR}"}).encode(), "text/html")
        output.page("plain", b"nothing to say", "text/plain")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        site.script.on_publish = addressed
        yield site


def needing(site: Rehearsal) -> None:
    """Its pages cannot do without an address."""
    cls: Any = site.registry.publisher("lines").cls
    cls.needs_base_url = True


def ask(site: Rehearsal, path: str, host: str) -> AsgiResponse:
    async def talk(client: Client) -> AsgiResponse:
        return await client.get(path, headers=[("Host", host)])

    answer: AsgiResponse = site.served(talk)
    return answer


def exported(site: Rehearsal, name: str) -> bytes:
    return (site.folder / "www" / name).read_bytes()


def test_a_server_says_what_was_asked_or_what_is_declared(site: Rehearsal) -> None:
    """Another declared address is served from the next request on; nothing is rendered for it."""
    needing(site)
    declare(site, publication())
    site.applied()
    for host in ("one.example", "two.example:81"):
        assert ask(site, "/team/", host).text == f'{{"dl": "http://{host}/team/{TAR}"}}'
    assert ask(site, "/team/", 'evil"host').status == 400
    assert ask(site, "/team/plain", 'evil"host').text == "nothing to say"
    for base in ("https://packages.example.org/x", "https://packages.example.org/y/"):
        declare(site, publication(more=f"baseUrl: {base!r}"))
        site.applied()
        expected = f"{base.rstrip('/')}/{TAR}"
        assert ask(site, "/team/", "one.example").text == f'{{"dl": "{expected}"}}'
        site.script.on_publish = None  # only that one is declared is part of the rendering
    assert ask(site, "/team/a/", "x").text == (
        '["https://packages.example.org/y/one", "https://packages.example.org/y/two"]'
    )


def test_an_export_holds_the_declared_address(site: Rehearsal) -> None:
    """In what compressed copies hold too; another address is another tree of the same version."""
    needing(site)
    for base in ("https://packages.example.org/", "https://mirror.example.org/"):
        declare(site, publication(more=f"baseUrl: {base!r}, {EXPORT}"))
        assert not site.plan().empty
        site.applied()
        page = f'{{"dl": "{base}{TAR}"}}'.encode()
        assert exported(site, "index.html") == page
        assert gzip.decompress(exported(site, "index.html.gz")) == page
        assert json.loads(exported(site, "a/index"))[0] == f"{base}one"
        assert site.plan().empty


def test_an_export_without_an_address_is_refused_at_its_line(site: Rehearsal) -> None:
    needing(site)
    declare(site, publication(more=EXPORT))
    with pytest.raises(ManifestFaults) as caught:
        site.plan()
    [fault] = caught.value.faults
    assert fault.message == (
        "`spec.exports`: pages of publisher `lines` say where they are served, which an export"
        " cannot know"
    )
    assert fault.origin.file.endswith("site.yaml")
    assert fault.origin.line > 1
    assert "set `baseUrl`" in (fault.hint or "")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (
            lambda conduit, output: conduit.base_url,
            "writes the address of the publication, which its class does not say",
        ),
        (
            lambda conduit, output: output.page("x", b"", "text/plain", linger="1 day"),
            "`x` for what belongs to no group: `linger`: expects a duration",
        ),
        (
            lambda conduit, output: output.page("x", b"", "text/plain", linger=60),
            "`x` for what belongs to no group: `linger` is 60",
        ),
    ],
)
def test_what_a_publisher_may_not_do_is_named(
    act: Callable[[Any, Any], object], said: str, site: Rehearsal
) -> None:
    """A page without a need for an address cannot take it by chance."""
    assert said in failure(site, act)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (
            lambda conduit, output: output.page(
                "x", conduit.base_url.encode(), "text/plain", immutable=True
            ),
            "`x` for what belongs to no group cannot be immutable: it says where it is served",
        ),
    ],
)
def test_a_page_with_an_address_promises_nothing(
    act: Callable[[Any, Any], object], said: str, site: Rehearsal
) -> None:
    needing(site)
    assert said in failure(site, act)


def failure(site: Rehearsal, act: Callable[[Any, Any], object]) -> str:
    """Return what is said of a publication whose publisher does this."""

    def acting(conduit: PublishConduit) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name):
                pass
        with conduit.whole_repository() as output:
            act(conduit, output)

    site.script.on_publish = acting
    declare(site, publication())
    [failed] = [each for each in site.apply().outcomes if each.result == "failed"]
    return failed.message
