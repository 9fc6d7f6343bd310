"""Base class of exporters, which say how an index elsewhere is sent what it lacks.

Everything here is about the words of an index: its pages, its form, its answers. The core asks and
sends, in which order, how often and with which credentials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Generic, Protocol

import msgspec
from typing_extensions import TypeVar

from reconciler.model import Page, StoredArtifact, StoredUnit
from reconciler.plugin.indexes import SortKey
from reconciler.plugin.options import Options
from reconciler.plugin.type_arguments import take_models

Target = TypeVar("Target", default=Any)
"""Option model of an index that is sent to."""


class IndexLocation(msgspec.Struct, frozen=True):
    """Addresses of an index. `upload`: where files are sent; `pages`: of the pages that list them.

    `name`: as messages call it.
    """

    upload: str
    pages: str
    name: str


class IndexPage(msgspec.Struct, frozen=True):
    """A page that lists what an index has of a group.

    `accept`: media types, as HTTP writes them.
    """

    url: str
    accept: str = "*/*"


class UploadForm(msgspec.Struct, frozen=True):
    """A form (`multipart/form-data`) that sends one file.

    `fields`: names and values, in order; a name may repeat. `field`: name of the part with the
    bytes of the file. `needs`: groups that should be there before this one.
    """

    fields: Sequence[tuple[str, str]]
    field: str
    filename: str
    media_type: str = "application/octet-stream"
    needs: Sequence[str] = ()


class UploadAnswer(msgspec.Struct, frozen=True):
    """The meaning of an answer that is no success.

    `exists`: a file of this name is there, with whatever bytes. `message`: what it says, for
    people; `hint`: what to do about it.
    """

    exists: bool = False
    message: str = ""
    hint: str = ""


class Login(msgspec.Struct, frozen=True):
    """Credentials for an index. No text form shows them."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Login(...)"


class FormConduit(Protocol):
    """Argument of `Exporter.form`: the bytes of the unit's artifacts."""

    def open(self, artifact: StoredArtifact) -> BinaryIO:
        """Return a stored artifact, to be closed by the caller."""
        ...


class LoginConduit(Protocol):
    """Argument of `Exporter.login`: requests that obtain credentials, by the rules of remotes."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables of the run."""
        ...

    @property
    def sending(self) -> bool:
        """True if something is about to be sent: only then a token may be exchanged."""
        ...

    def request(
        self, url: str, *, body: Mapping[str, str] | None = None, bearer: str = ""
    ) -> bytes:
        """Return what a URL answers: to GET, or to `body` as a POST of JSON. At most 64 KiB.

        `bearer`: a token for that URL's own host. Raises what a remote's pages raise.
        """
        ...


class Exporter(Generic[Target]):
    """Says how an index is read and sent to. Type argument: `options`, of the manifest's `index`.

    The core owns the keys of the connection, `name` and `url`.
    """

    options: ClassVar[type[Options]] = Options

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        take_models(cls, Exporter, "options")

    @classmethod
    def check(cls, name: str, url: str, options: Target) -> None:
        """Check what a schema cannot express, without looking anything up.

        Either `name` or `url` is given, the other one is empty. Raises OptionFault.
        """

    @classmethod
    def location(cls, name: str, url: str, options: Target) -> IndexLocation:
        """Return the addresses of an index. `name` or `url`, as of `check`.

        May read the configuration of the user. Raises OptionFault for an unknown name.
        """
        raise NotImplementedError

    @classmethod
    def login(
        cls, conduit: LoginConduit, location: IndexLocation, options: Target, *, name: str
    ) -> Login | None:
        """Return credentials that the user or the environment has, where the manifest has none.

        `name`: as of `check`.

        Called before something is sent, and before pages of the same host are read; see `sending`
        of the conduit. Runs in a worker thread. Default: None.
        """
        return None

    @classmethod
    def left_out(cls, unit: StoredUnit, options: Target) -> str | None:
        """Return why a unit is not sent, None where it is. Pure.

        An empty text: the manifest does not ask for it.
        """
        return None

    @classmethod
    def file_of(cls, unit: StoredUnit) -> StoredArtifact:
        """Return the artifact that is sent of a unit. Pure. Default: the first one."""
        return unit.artifacts[0]

    @classmethod
    def page_of(cls, location: IndexLocation, group: str) -> IndexPage:
        """Return the page that lists what the index has of a group. Pure."""
        raise NotImplementedError

    @classmethod
    def listed(cls, page: Page, group: str) -> Mapping[str, Mapping[str, str]]:
        """Return the digests (hex) that a page gives by algorithm, by key of the unit. Pure.

        Raises Malformed for what is no such page.
        """
        raise NotImplementedError

    @classmethod
    def sort_key(cls, unit: StoredUnit) -> SortKey:
        """Return the place of a unit among those of its group. Pure. Default: by key."""
        return (unit.key,)

    @classmethod
    def form(cls, conduit: FormConduit, unit: StoredUnit, options: Target) -> UploadForm:
        """Return the form that sends a unit. Runs in a worker thread.

        Raises Refused for a file that the form has no words for.
        """
        raise NotImplementedError

    @classmethod
    def answer(cls, status: int, reason: str, body: bytes) -> UploadAnswer:
        """Return what an answer of 400 to 499 means. Pure. `reason`: of its status line."""
        return UploadAnswer(message=reason)
