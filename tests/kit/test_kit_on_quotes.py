"""The kit on a sound plugin: every test passes."""

from __future__ import annotations

import json
from hashlib import sha256

from reconciler.plugin.testing import Conformance, Subject, Upstream
from tests.support.quotes import importer, publisher, quote


def quotation(name: str, author: str = "Ada") -> dict[str, object]:
    """As upstream lists it; its text is its name."""
    return {
        "id": name,
        "by": author,
        "url": f"texts/{name}",
        "sha256": sha256(name.encode()).hexdigest(),
        "size": len(name),
    }


def pages(groups: dict[str, list[dict[str, object]]]) -> dict[str, bytes]:
    """Upstream as it is served: the index, the groups and the texts."""
    found = {f"{group}.json": json.dumps(quotes).encode() for group, quotes in groups.items()}
    index = {group: sha256(found[f"{group}.json"]).hexdigest() for group in groups}
    texts = {
        str(quote["url"]): str(quote["id"]).encode()
        for quotes in groups.values()
        for quote in quotes
    }
    return {"index.json": json.dumps(index).encode(), **found, **texts}


FIRST = {"war": [quotation("w1"), quotation("w2")], "peace": [quotation("p1")]}
CHANGED = [
    FIRST | {"peace": [quotation("p1"), quotation("p2")]},
    FIRST | {"war": [quotation("w1", "Bob")]},
    {"war": FIRST["war"]},
]


def becomes(groups: dict[str, list[dict[str, object]]]):  # type: ignore[no-untyped-def]  # a change, as the kit has it
    def change(upstream: Upstream) -> None:
        for path in set(upstream.pages) - set(pages(groups)):
            upstream.remove(path)
        for path, body in pages(groups).items():
            upstream.put(path, body)

    return change


class TestQuotes(Conformance):
    def subject(self) -> Subject:
        upstream = Upstream(pages(FIRST))
        return Subject(
            importer=importer,
            publisher=publisher,
            content_types=[quote],
            upstream=upstream,
            changes=[becomes(files) for files in CHANGED],
        )
