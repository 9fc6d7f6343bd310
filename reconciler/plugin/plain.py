"""Plain content: one file a unit, selected by names and sizes. Most new types begin with it.

The names of groups and files, their digests and URLs come from upstream or from uploaders, and are
hostile until they were checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urljoin

import msgspec
from pydantic import Field

from reconciler.errors import Malformed, Refused
from reconciler.model import Artifact, Page, StoredUnit, Unit, is_hex_digest
from reconciler.plugin.content import ActiveFilter, ContentType, Decision, TraceStep
from reconciler.plugin.endpoints import UploadedFile
from reconciler.plugin.options import NotEmpty, Options, Size
from reconciler.plugin.upstream_conduits import ReadConduit

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}")
_NOT_INCLUDED = "matches no include"

T = TypeVar("T")


class PlainSelection(Options):
    """Keys of a source: which groups it takes. A base for option models."""

    include: Annotated[tuple[str, ...], Field(strict=False), NotEmpty()] = Field(
        default=(), description="Names of groups to take, with globs; none: every group."
    )
    exclude: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(), description="Names of groups to leave out, with globs; wins over `include`."
    )

    def takes(self, group: str) -> bool:
        """Return True if a group of that name is wanted."""
        return not self.refusal(group)

    def refusal(self, group: str) -> tuple[str, ...]:
        """Return reason and key of a refusal; empty if there is none."""
        for glob in self.exclude:
            if fnmatchcase(group, glob):
                return f'excluded by "{glob}"', "exclude"
        if not self.include or any(fnmatchcase(group, glob) for glob in self.include):
            return ()
        return f"`{group}` {_NOT_INCLUDED}", "include"


class PlainRules(Options):
    """Keys of a Filter: which units pass. A base for option models."""

    deny: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(), description="Keys of units that never pass, with globs."
    )
    max_size: Size | None = Field(
        default=None,
        description="The largest file that passes (`500MiB`); an unknown size is refused.",
    )

    def refusal(self, unit: Unit) -> tuple[str, ...]:
        """Return reason and key of a refusal; empty if there is none."""
        for glob in self.deny:
            if fnmatchcase(unit.key, glob):
                return f'denied by "{glob}"', "deny"
        for file in unit.artifacts if self.max_size is not None else ():
            if file.size is None and file.sha256:  # else the core measures it, and asks again
                return "size unknown", "maxSize"
            if file.size is not None and self.max_size is not None and file.size > self.max_size:
                return f"{file.size:,} bytes, more than {self.max_size:,}", "maxSize"
        return ()


Selection = TypeVar("Selection", bound=PlainSelection)
Rules = TypeVar("Rules", bound=PlainRules)


class PlainContentType(ContentType[Selection, Rules], Generic[Selection, Rules]):
    """A content type that is selected by the keys of `PlainSelection` and `PlainRules`."""

    @classmethod
    def select(  # noqa: PLR0917  # as ContentType.select
        cls,
        group: str,
        units: Sequence[Unit],
        options: Selection | None,
        filters: Sequence[ActiveFilter[Rules]],
        now: datetime,
    ) -> Iterable[Decision]:
        """Return a decision for each unit: the source's keys first, then filters by name."""
        rules = sorted(filters, key=lambda active: active.name)
        outside = options.refusal(group) if options is not None else ()
        return [_decision(unit, outside, rules) for unit in units]

    @classmethod
    def trace(  # noqa: PLR0917  # as ContentType.trace
        cls,
        group: str,
        units: Sequence[Unit],
        traced: Sequence[Unit],
        options: Selection | None,
        filters: Sequence[ActiveFilter[Rules]],
        now: datetime,
    ) -> Iterable[Iterable[TraceStep]]:
        """Return the verdict on each traced unit, with the key of the manifest that made it."""
        decided = {id(each.unit): each for each in cls.select(group, units, options, filters, now)}
        return [[_step(decided[id(unit)])] for unit in traced]

    @classmethod
    def removal_reason(cls, unit: StoredUnit, options: Selection | None, refused: str) -> str:
        """Return the reason of a removal.

        A group that is no longer selected was not read: it may still be there upstream.
        """
        outside = options.refusal(unit.group) if options is not None else ()
        return refused or (f"no longer selected: {outside[0]}" if outside else "gone upstream")


class ListedFile(msgspec.Struct):
    """Entry of a list of files in JSON.

    `url`: relative to the page. Without `sha256` the core downloads the file while it plans.
    """

    name: str
    url: str
    sha256: str = ""
    size: Annotated[int, msgspec.Meta(ge=0)] | None = None


def is_file_name(text: str) -> bool:
    """Return True for a name that is safe everywhere: letters, digits and `._+~-`, at most 200."""
    return _NAME.fullmatch(text) is not None


def decode_json(page: Page, model: type[T]) -> T:
    """Return a page as values of a type. Raises Malformed where it does not hold such."""
    try:
        return msgspec.json.decode(page.body, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{page.url}: cannot be read: {error}") from None


def resolve_url(page: Page, url: str) -> str | None:
    """Return a URL of a page as an absolute one; None for what cannot be fetched."""
    try:
        joined = urljoin(page.url, url)
    except ValueError:
        return None
    schemes = ("file:",) if page.url.startswith("file:") else ("https://", "http://")
    return joined if joined.startswith(schemes) else None


def listed_units(
    conduit: ReadConduit[Any, Any], page: Page, files: Iterable[ListedFile], *, type: str
) -> Iterator[Unit]:
    """Yield a unit of `type` for each usable file of a page; refuse the others by name."""
    seen: set[str] = set()
    for file in files:
        url = resolve_url(page, file.url)
        if not is_file_name(file.name):
            conduit.refuse(ascii(file.name[:80]), "its name cannot be a file's")
        elif file.sha256 and not is_hex_digest(file.sha256):
            conduit.refuse(file.name, "its sha256 is not 64 lower-case hex digits")
        elif url is None:
            conduit.refuse(file.name, "its URL cannot be fetched")
        elif file.name in seen:
            conduit.refuse(file.name, "upstream lists it twice")
        else:
            yield Unit(type, file.name, {}, [Artifact(file.name, file.sha256, file.size, url)])
        seen.add(file.name)


def uploaded_unit(type: str, file: UploadedFile, *groups: str) -> Unit:
    """Return the unit of `type` that an uploaded file becomes.

    Raises Refused where it, or one of the `groups`, has a name that is not safe.
    """
    for name in (*groups, file.name):
        if not is_file_name(name):
            raise Refused(
                f"{name[:80]!a} cannot be the name of a group or file",
                hint="letters, digits and `._+~-`, a letter or a digit first",
            )
    return Unit(type, file.name, {}, [Artifact(file.name, file.sha256, file.size)])


def _decision(
    unit: Unit, outside: tuple[str, ...], rules: Sequence[ActiveFilter[Rules]]
) -> Decision:
    if outside:
        return Decision(unit, accepted=False, reason=outside[0], rule=outside[1])
    for active in rules:
        if refusal := active.options.refusal(unit):
            reason, rule = refusal[0], f"{active.name}.{refusal[1]}"
            return Decision(unit, accepted=False, reason=f"{reason} ({rule})", rule=rule)
    return Decision(unit, accepted=True)


def _step(decision: Decision) -> TraceStep:
    """Return a decision with the key of the manifest that made it, where one did."""
    if decision.accepted:
        return TraceStep(True, "nothing keeps it out")
    filter_, _, key = decision.rule.rpartition(".")
    return TraceStep(False, decision.reason, filter_, (key,))
