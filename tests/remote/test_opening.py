"""What opening a fetcher costs and needs, and the fixture server beside a program."""

from __future__ import annotations

import subprocess
import sys
import urllib.request

from tests.support import faulty

LOADED = """
import sys
from reconciler.errors import Origin
from reconciler.model import Kind, Meta, Remote
from reconciler.remote import open_fetcher
open_fetcher(Remote(Meta(Kind.REMOTE, "upstream", Origin("f", 1)), {}, "python"), "http://example.org/")
print(sorted({"aiohttp", "yarl"} & set(sys.modules)))
"""


def test_the_http_client_is_loaded_with_the_first_request_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_faulty_server_runs_beside_synchronous_code() -> None:
    with faulty.running(lambda server: server.on("/x", faulty.body(b"hello"))) as server:
        with urllib.request.urlopen(server.url("/x")) as answer:
            assert answer.read() == b"hello"
        assert [request.path for request in server.requests] == ["/x"]
