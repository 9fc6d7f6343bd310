"""The importer: reads the suites of an archive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.plugin import (
    UNCHANGED,
    Group,
    GroupedUnit,
    Importer,
    Located,
    Metadata,
    OptionFault,
    PluginCallConfiguration,
    ReadConduit,
    Refused,
    Unchanged,
    Unit,
    UploadConduit,
    UploadedFile,
)
from reconciler_deb.dependencies.closure import Closure, Taken
from reconciler_deb.options.filter_options import FilterOptions
from reconciler_deb.options.patterns import Patterns
from reconciler_deb.options.source_options import RemoteOptions, SourceOptions
from reconciler_deb.reading.listings import Entry, Listing, entries_digest
from reconciler_deb.reading.suites import (
    Suite,
    SuiteRequest,
    read_indexes,
    read_suite,
    suites_validator,
)
from reconciler_deb.reading.units import PACKAGE, SOURCE_PACKAGE, listed_units
from reconciler_deb.releases.signatures import Keyring
from reconciler_deb.selecting.selection import PackageSelection
from reconciler_deb.uploads.sent_packages import place_package

_KEY_HINT = (
    "put the public key of the archive there, as its owner gives it out"
    " (`gpg --armor --export FINGERPRINT`); a path is relative to the manifest that names it"
)

API = ">=2.0,<3"

DebConduit = ReadConduit[SourceOptions, FilterOptions]


class DebImporter(Importer[SourceOptions, FilterOptions]):
    """Imports packages as groups.

    `declare` reads the Release of each suite, and its indexes where one of them changed; it takes
    them apart into packages and hands the paragraphs of each to `read`, which looks closely at
    those that changed.
    """

    remote_options = RemoteOptions
    remote_keys = ("keys", "trusted", "checkValidUntil")
    selection_required = ("include", "sections", "priorities")

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("deb", "Debian packages", (PACKAGE, SOURCE_PACKAGE), API)

    async def declare(self, conduit: DebConduit) -> AsyncIterator[Group | Unchanged]:
        """Yield the packages of all suites, in name order.

        Raises where a suite cannot be believed or is not fresh, before it is looked at.
        """
        options = conduit.options
        assert isinstance(options, RemoteOptions)
        suites = [await read_suite(conduit, request) for request in _requests(conduit, options)]
        if conduit.unchanged(suites_validator(suites)):
            _note_dates(conduit, suites)
            yield UNCHANGED
            return
        listing = Listing()
        suites = [await read_indexes(conduit, suite, listing) for suite in suites]
        conduit.unchanged(suites_validator(suites))
        _note_dates(conduit, suites)
        for group in await asyncio.to_thread(list, _groups(conduit, options, listing)):
            yield group

    async def read(self, conduit: DebConduit, group: Group) -> Iterable[Unit]:
        """Return the packages of one name; what cannot be read is refused one by one."""
        entries, taken = group.data
        units = listed_units(group.name, entries, conduit.url, refuse=conduit.refuse)
        return taken.annotated(units) if taken is not None else units

    def upload(  # noqa: PLR0917  # plugin API 1.x
        self,
        conduit: UploadConduit[SourceOptions],
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[GroupedUnit]:
        """Accept a `.deb` into the suite and component that the form names.

        Either may be left out where the source lists one only. Raises Refused.
        """
        return place_package(file, fields, conduit.options)

    @classmethod
    def explain(cls, subject: str) -> Iterable[str]:
        """Return the package that a subject may mean: a name, a relation, a key, a file's name."""
        name = subject.rpartition("/")[2].partition("_")[0].partition("(")[0].strip()
        return [name or subject]


def _requests(conduit: DebConduit, options: RemoteOptions) -> list[SuiteRequest]:
    """Return what is asked of each suite."""
    dates = _dates(conduit)
    keyring = _keyring(options)
    return [
        SuiteRequest(
            suite,
            options.components,
            options.architectures,
            keyring,
            options.check_valid_until,
            dates.get(suite),
        )
        for suite in dict.fromkeys(options.suites)
    ]


def _keyring(options: RemoteOptions) -> Keyring | None:
    """Return the keys that may sign; None where the archive is trusted. Raises Refused."""
    if options.trusted:
        return None
    try:
        return Keyring([(key.written, _key_body(key)) for key in options.keys])
    except OptionFault as error:
        raise Refused(f"`keys`: {error}", hint=error.hint or _KEY_HINT) from None


def _key_body(key: Located) -> bytes:
    try:
        return key.readable(key.path).read_bytes()
    except OSError as error:
        raise OptionFault(f"`{key.written}` cannot be read: {error.strerror}") from None


def _groups(conduit: DebConduit, options: RemoteOptions, listing: Listing) -> Iterator[Group]:
    if options.dependencies and options.selects_part:
        selection = PackageSelection(options, conduit.filters, conduit.now)
        taken = Closure(listing, options, selection, base=conduit.url).taken()
        packages: Iterable[tuple[str, list[Entry]]] = listing.groups(taken.__contains__)
    else:
        taken = {}
        included = options.included
        packages = listing.groups(included.concern if included else lambda name: True)
    shared = options.shared or None  # asked once: an archive has tens of thousands of names
    for name, entries in packages:
        yield _group(name, entries, taken.get(name), shared=shared)


def _group(
    name: str, entries: list[Entry], taken: Taken | None, *, shared: Patterns | None
) -> Group:
    digest = entries_digest(entries)
    return Group(
        name,
        validator=f"{digest} {taken.digest}" if taken is not None else digest,
        listed=True,
        data=(entries, taken),
        shared=shared is not None and shared.concern(name),
    )


def _dates(conduit: DebConduit) -> Mapping[str, datetime]:
    """Return the Date of each suite's Release that was read last from this archive."""
    notes: Any = conduit.get_scratchpad()
    dates = notes.get(conduit.url, {}) if isinstance(notes, dict) else {}
    return {suite: datetime.fromisoformat(text) for suite, text in dates.items()}


def _note_dates(conduit: DebConduit, suites: Sequence[Suite]) -> None:
    """Remember how new each suite was; an archive that no longer checks may go back."""
    notes: Any = conduit.get_scratchpad()
    notes = dict(notes) if isinstance(notes, dict) else {}
    dates = dict(notes.get(conduit.url, {}))
    for suite in suites:
        if suite.release.date is not None:
            dates[suite.request.suite] = suite.release.date.astimezone(UTC).isoformat()
    if dates != notes.get(conduit.url, {}):
        conduit.set_scratchpad({**notes, conduit.url: dates})
