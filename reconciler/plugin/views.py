"""Protocols of publishers: requests that are answered from what is published, when they come.

For what would double the pages of a publication, or what tells when something was published: no
page may depend on that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from reconciler.plugin.endpoints import Endpoint, endpoint_problem


class View(msgspec.Struct, frozen=True):
    """`GET` and `HEAD` requests that a publisher answers when they come.

    `path`: as of an Endpoint. What is published at a path comes first, but for its representation
    in the media type `replaces`, which the answer takes the place of. `query`: answers depend on
    the query; else they are not told of it, and kept in memory for a while.
    """

    path: str
    replaces: str = ""
    query: bool = False

    def matched(self, path: str) -> dict[str, str] | None:
        """Return the parameters in a path; None where the view is not about it."""
        return Endpoint("POST", self.path).matched(path)


class ViewRequest(msgspec.Struct, frozen=True):
    """Request to a view.

    `path`: within the publication, decoded; `parameters`: those in the view's path; hostile both.
    `query`: values by name, in order, if the view asks for them.
    """

    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, Sequence[str]] = {}


class ViewConduit(Protocol):
    """Argument of `Publisher.view`: what is published now, as far as the client may see it.

    Serials are whole numbers, of one publication: whatever is published later has a greater one.
    They say nothing of the content: the same content has others elsewhere.
    """

    @property
    def publication(self) -> str:
        """Name of the publication."""
        ...

    @property
    def base_url(self) -> str:
        """Address at which the client sees the publication, with a slash at its end."""
        ...

    @property
    def serial(self) -> int:
        """Serial of the publication: no path has a greater one."""
        ...

    def read(self, path: str, media_type: str = "") -> bytes | None:
        """Return what is published at a path; None where the client sees nothing there.

        None, too, where the bytes are not in the store yet, and for files above 16 MiB.

        `media_type`: of several representations the one to read; without it, the default.
        """
        ...

    def serial_of(self, path: str) -> int | None:
        """Return the serial of what is published at a path; None where the client sees nothing."""
        ...

    def serials(self, folder: str, media_type: str) -> Mapping[str, int]:
        """Return serials of pages of groups below a folder, by path, in order.

        `folder` ends with `/`; `media_type`: of the pages. The cost follows what the folder holds.
        """
        ...


class MatchedView(msgspec.Struct, frozen=True):
    """A view, and the parameters that it finds in a path."""

    view: View
    parameters: Mapping[str, str]


def matched_view(views: Iterable[View], path: str) -> MatchedView | None:
    """Return the first view that is about a path."""
    for view in views:
        parameters = view.matched(path)
        if parameters is not None:
            return MatchedView(view, parameters)
    return None


def view_problem(view: object) -> str:
    """Return what is wrong with a view that a plugin declares; empty if nothing is."""
    if not isinstance(view, View):
        return "is no View: write `View(path)`"
    return endpoint_problem(Endpoint("POST", view.path))
