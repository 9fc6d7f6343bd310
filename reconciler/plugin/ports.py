"""What a plugin is: an importer, a publisher, a content type. Subclass, override, advertise by entry point."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import BinaryIO, ClassVar, Final

import msgspec

from reconciler.model import Artifact, Group, StoredUnit, Unit
from reconciler.plugin.calls import ImporterCall, PublishConduit
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.options import Options


class Unchanged:
    """What `read` returns when `call.unchanged` said so."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()


class Metadata(msgspec.Struct, frozen=True):
    """Who a plugin is. `id`: unique per kind; `types`: IDs of the content types it handles; `api`: a PEP 440 range of API versions."""

    id: str
    display_name: str
    types: Sequence[str] = ()
    api: str = ">=1.0,<2"


class ActiveFilter(msgspec.Struct, frozen=True):
    """A filter that governs the call: the `Filter` resource's name, its validated options, and where it is written."""

    name: str
    options: Options
    place: str


class Decision(msgspec.Struct, frozen=True):
    """One unit is in, or out because `reason`. `reconsider_at`: when time alone will change the answer."""

    unit: Unit
    accepted: bool
    reason: str = ""
    reconsider_at: datetime | None = None


class Summary(msgspec.Struct, frozen=True):
    """A unit for people: its `version` (None where the type knows none) and a `label` of its variety (`wheel`)."""

    version: str | None = None
    label: str = ""


class ContentType:
    """What is stored. Class methods only, pure: they are called from any thread, in any order, any number of times."""

    id: ClassVar[str]
    plural: ClassVar[str] = "units"
    revision: ClassVar[int] = 1  # raise it when `select` decides differently: everything is decided again
    beside: ClassVar[str | None] = None  # units of this type are kept only in groups that keep a unit of that type

    @classmethod
    def select(cls, group: str, units: Sequence[Unit], options: Options | None, filters: Sequence[ActiveFilter], now: datetime) -> Iterable[Decision]:
        """Decide for each unit of `group`: in, or out because. The order of units and filters must not matter. Default: all in."""
        return [Decision(unit, accepted=True) for unit in units]

    @classmethod
    def refusal(cls, before: StoredUnit, after: Unit, options: Options | None) -> str | None:
        """Why `after` must not replace `before` (same type, group and key, other identity); None lets it. Default: None."""
        return None

    @classmethod
    def removal(cls, unit: StoredUnit, options: Options | None, refused: str) -> str:
        """Why a unit goes; the words after `-` in a plan. `refused`: why `select` keeps it out now, empty where upstream no longer lists it."""
        return refused or "gone upstream"

    @classmethod
    def summary(cls, unit: Unit | StoredUnit) -> Summary:
        """How a plan shows the unit."""
        version = unit.metadata.get("version")
        return Summary(version if isinstance(version, str) else None)

    @classmethod
    def describe_change(cls, before: StoredUnit, after: Unit) -> str:
        """What differs between two states of one unit; the words after `~` in a plan."""
        names = sorted({*before.metadata, *after.metadata})
        return ", ".join(f"{name} changed" for name in names if before.metadata.get(name) != after.metadata.get(name)) or "artifacts changed"

    @classmethod
    def extract(cls, unit: Unit, artifact: Artifact, container: BinaryIO) -> bytes | None:
        """The bytes of `artifact` out of the open file named by `artifact.within`, or None when they cannot be found there.

        The core compares their digest; on None or a mismatch it asks `artifact.url`. Hostile input: never raise for it.
        """
        return None


class Importer:
    """Brings content in. A new instance for every call: attributes set in one call are gone in the next."""

    options: ClassVar[type[Options]] = Options
    filter_options: ClassVar[type[Options]] = Options

    @classmethod
    def metadata(cls) -> Metadata:
        """Who this plugin is."""
        raise NotImplementedError

    @classmethod
    def well_known(cls, index: str) -> str | None:
        """The URL behind a well-known name (`index: pypi`), or None. `well_known_names` lists them for hints and schema."""
        return None

    well_known_names: ClassVar[Sequence[str]] = ()

    def declare(self, call: ImporterCall) -> AsyncIterator[Group]:
        """Which groups does the source hold? An async generator, cheap, in any order; names are unique.

        Ending normally says "this is all": committed groups that were not declared are removed in mirror mode.
        Raising says "the listing failed": nothing of this source is removed.
        """
        raise NotImplementedError

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit] | Unchanged:
        """The units of one group, or UNCHANGED. Several at once; may be called twice. Raising is this group's failure only.

        Raise `Gone` when upstream says that the group does not exist: that is an answer, its units are removed.
        """
        raise NotImplementedError


class Publisher:
    """Renders a version into files. A new instance for every call."""

    options: ClassVar[type[Options]] = Options
    revision: ClassVar[int] = 1  # raise it when the rendering changes: everything is rendered again

    @classmethod
    def metadata(cls) -> Metadata:
        """Who this plugin is."""
        raise NotImplementedError

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        """Open each of `conduit.changed()` and emit its files; then `conduit.whole()`. Runs in a worker thread."""
        raise NotImplementedError

    @classmethod
    def canonical_path(cls, path: str) -> str | None:
        """The path that was meant by one that the publication does not hold (another spelling of a name), or None. Pure."""
        return None
