"""The pages, each from documents and from what one client may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from reconciler.model import Grant
from reconciler.serve.pages.browser import Browser, Document
from reconciler.serve.pages.rendering import render

PER_PAGE = 100
VERSIONS_PER_PAGE = 50
LONGEST_QUERY = 200
FURTHEST = 1_000_000  # page that people may ask for


@dataclass(frozen=True, slots=True)
class Seen:
    """A publication as a client sees it.

    grant: what the client may see. address: where the client sees the publication, with a slash at
    its end; None where that is not known. private: not every client may see it.
    """

    name: str
    path: str
    grant: Grant
    address: str | None
    private: bool

    @property
    def whole(self) -> bool:
        """True for a client that may see all of it."""
        return not self.grant.projects


class PeoplePages:
    """Pages by what they are about; None where there is nothing. Called in worker threads.

    `root`: relative reference to `/`.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def front(self, root: str, seen: Sequence[Seen]) -> bytes:
        """Return the list of publications."""
        listed = [(each, self._browser.publication(each.name)) for each in seen]
        return render(
            "front.html",
            root=root,
            listed=[(each, document) for each, document in listed if document is not None],
        )

    def publication(self, root: str, seen: Seen, fields: Mapping[str, str]) -> bytes | None:
        """Return a publication and its groups; fields: `q` and `page`."""
        document = self._browser.publication(seen.name)
        query, page = fields.get("q", "").strip()[:LONGEST_QUERY], _page(fields)
        groups = self._browser.groups(
            seen.name, query, start=(page - 1) * PER_PAGE, limit=PER_PAGE, grant=seen.grant
        )
        if document is None or groups is None:
            return None
        return render(
            "publication.html",
            **self._common(root, seen, document),
            query=query,
            groups=groups,
            pages=Pages(
                page, PER_PAGE, count=groups["matching"], link=_link(q=query) if query else "?"
            ),
            instructions=self._instructions(seen),
        )

    def group(self, root: str, seen: Seen, name: str) -> bytes | None:
        """Return one group: its versions, files and what is withheld of it."""
        document = self._browser.publication(seen.name)
        group = self._browser.group(seen.name, name) if seen.grant.covers(name) else None
        if document is None or group is None:
            return None
        return render(
            "group.html",
            **self._common(root, seen, document),
            group=group,
            instructions=self._instructions(seen, name),
        )

    def history(self, root: str, seen: Seen, fields: Mapping[str, str]) -> bytes | None:
        """Return the versions; fields: `page`."""
        document = self._browser.publication(seen.name)
        versions = self._browser.history(seen.name) if seen.whole else None
        if document is None or versions is None:
            return None
        page = _page(fields)
        start = (page - 1) * VERSIONS_PER_PAGE
        return render(
            "history.html",
            **self._common(root, seen, document),
            versions=[_version(each) for each in versions[start : start + VERSIONS_PER_PAGE]],
            pages=Pages(page, VERSIONS_PER_PAGE, count=len(versions), link="?"),
        )

    def difference(self, root: str, seen: Seen, fields: Mapping[str, str]) -> bytes | None:
        """Return what differs between two versions; fields: `from` and `to`."""
        a, b = fields.get("from", ""), fields.get("to", "")
        document = self._browser.publication(seen.name)
        lists = self._browser.difference(seen.name, a, b) if seen.whole else None
        if document is None or lists is None:
            return None
        return render(
            "difference.html", **self._common(root, seen, document), a=a, b=b, lists=lists
        )

    def why(self, root: str, seen: Seen, fields: Mapping[str, str]) -> bytes | None:
        """Return why something is there or not; fields: `q`."""
        subject = fields.get("q", "").strip()[:LONGEST_QUERY]
        document = self._browser.publication(seen.name)
        if document is None or not seen.whole:
            return None
        answer = self._browser.why(seen.name, subject) if subject else {}
        return render(
            "why.html", **self._common(root, seen, document), subject=subject, answer=answer
        )

    def missing(self, root: str) -> bytes:
        """Return the page for what does not exist, or not for this client."""
        return render("missing.html", root=root)

    def fault(self, root: str, message: str) -> bytes:
        """Return the page for what cannot be answered now."""
        return render("fault.html", root=root, message=message)

    def _common(self, root: str, seen: Seen, document: Document) -> dict[str, Any]:
        here = f"{root}-/publications/{quote(seen.name)}/"
        return {"root": root, "here": here, "seen": seen, "publication": document}

    def _instructions(self, seen: Seen, group: str = "") -> Sequence[object]:
        if seen.address is None:
            return ()
        return self._browser.instructions(
            seen.name, seen.address, group=group, private=seen.private
        )


class Pages:
    """Links between the pages of a list."""

    def __init__(self, page: int, size: int, *, count: int, link: str) -> None:
        self.page = page
        self.last = max((count + size - 1) // size, 1)
        self._link = link

    def link(self, page: int) -> str:
        """Return the reference of a page, for the query."""
        return f"{self._link}{'&' if len(self._link) > 1 else ''}page={page}"


def _link(**fields: str) -> str:
    return "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())


def _page(fields: Mapping[str, str]) -> int:
    text = fields.get("page", "1")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 1
    return min(max(number, 1), FURTHEST)


def _version(document: Document) -> dict[str, Any]:
    """Return a version as all may read of it: no address of a person, no name of a machine."""
    provenance = document["provenance"]
    principal = str(provenance.get("principal") or "")
    commit = str(provenance.get("commit") or "")
    return {
        **document,
        "by": principal.partition("<")[0].partition("@")[0].strip(),
        "commit": commit[:12],
    }
