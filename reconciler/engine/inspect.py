"""The recorded state as documents: resources with status, history, differences of versions.

The shapes are those of the contract (`get`, `describe`, `history`, `diff` with `-o json`):
camelCase, in stable order.
"""

from __future__ import annotations

import sys
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from reconciler.database import Difference, Outcome, PublicationRecord, Reader, VersionRecord
from reconciler.engine.plugin_lifecycle.plugin_uses import publisher_of
from reconciler.engine.sources.delisted_units import DelistedUnits, summarize
from reconciler.engine.sources.withdrawals import Withdrawals, still_shown
from reconciler.errors import PluginFault, UsageFault
from reconciler.model import (
    LATEST,
    ActualResource,
    ActualState,
    Kind,
    Ref,
    StoredUnit,
    counted_noun,
    declared_size,
    stored_unit,
)
from reconciler.model.digest import Digest
from reconciler.plan import delisted_document
from reconciler.plugin import ContentType
from reconciler.plugin.registry import Registry

API_VERSION = "reconciler/v1"
SHORTEST = 7  # characters of a digest that stand for it
RUNS = 200  # how far back conditions look
WITHHELD_ENTRIES = 1000  # that a status lists


Condition = dict[str, str]


class Inspector:
    """Answers questions about the recorded state. Reads only."""

    def __init__(self, reader: Reader, registry: Registry) -> None:
        self._reader = reader
        self._registry = registry

    def counted(self, type_: str, number: int) -> str:
        """Return a number of units of a type as people call them: `107 distributions`.

        The type has to do where its plugin is not installed.
        """
        plugin = self._registry.find("content-type", type_)
        if plugin is None or not plugin.enabled:
            return f"{number:,} {type_}"
        return f"{number:,} {counted_noun(number, self._registry.content_type(type_).plural)}"

    def resources(self, kind: Kind, name: str | None = None) -> list[dict[str, Any]]:
        """Return the documents of a kind, by name. Raises UsageFault if `name` does not exist."""
        actual = self._reader.actual_state()
        conditions, stalled = self._conditions()
        chosen = [
            resource
            for resource in actual.resources.values()
            if resource.ref.kind is kind and name in (None, resource.ref.name)
        ]
        if name is not None and not chosen:
            raise UsageFault(
                f"there is no {kind.lower()} `{name}`",
                hint=f"`reconciler get {kind.lower()}` lists what there is",
            )
        return [
            self._document(
                resource,
                actual,
                [
                    condition
                    for table in (conditions, stalled)
                    if (condition := table.get(str(resource.ref))) is not None
                ],
            )
            for resource in sorted(chosen, key=lambda item: item.ref.name)
        ]

    def history(self, name: str) -> list[dict[str, Any]]:
        """Return the versions of a repository, newest first."""
        return [_version(record) for record in self._reader.versions(self._repository_id(name))]

    def difference(self, name: str, a: str, b: str) -> dict[str, Any]:
        """Return what differs between two versions, each given by number, `latest` or digest.

        The lists `added`, `removed` and `changed` are in (type, group, key) order.
        """
        return self.first_differences(name, a, b, most=sys.maxsize)[0]

    def first_differences(
        self, name: str, a: str, b: str, *, most: int
    ) -> tuple[dict[str, list[dict[str, Any]]], int]:
        """Return a difference with at most so many entries in each list, and how many are left out.

        No more than that is in memory at once, however much differs.
        """
        repository_id, more = self._repository_id(name), 0
        lists: dict[str, list[dict[str, Any]]] = {"added": [], "removed": [], "changed": []}
        for change in self._reader.difference(
            repository_id, self._number(repository_id, a), self._number(repository_id, b)
        ):
            entries = lists[
                "added"
                if change.before is None
                else "removed"
                if change.after is None
                else "changed"
            ]
            if len(entries) < most:
                entries.append(self._entry(change))
            else:
                more += 1
        for entries in lists.values():
            entries.sort(key=lambda entry: (entry["type"], entry["group"], entry["key"]))
        return lists, more

    def number(self, name: str, text: str) -> int:
        """Return the number of the version that `text` names.

        `text`: a number, `latest`, or a digest or its beginning.
        """
        return self._number(self._repository_id(name), text)

    def _number(self, repository_id: int, text: str) -> int:
        if text.isascii() and text.isdecimal():
            number = int(text)
            if number == 0 or self._reader.version(repository_id, number) is not None:
                return number
        elif text == LATEST:
            return max(
                (record.number for record in self._reader.versions(repository_id)), default=0
            )
        else:
            number_found = self._by_digest(repository_id, text)
            if number_found is not None:
                return number_found
        raise UsageFault(
            f"there is no version `{text}`",
            hint="`reconciler history` lists the versions of a repository",
        )

    def _by_digest(self, repository_id: int, text: str) -> int | None:
        """Return the version with this digest or beginning of one, None if there is none.

        Raises UsageFault if several digests begin so.
        """
        begin = text.removeprefix("sha256:")
        if len(begin) == 64 or len(begin) < SHORTEST:
            return self._reader.version_by_digest(repository_id, _digest(text))
        records = [
            version
            for version in self._reader.versions(repository_id)
            if version.digest.hex.startswith(begin)
        ]
        if len({record.digest for record in records}) > 1:
            raise UsageFault(
                f"several versions have digests that begin with `{text}`", hint="write more of it"
            )
        return records[0].number if records else None

    def _entry(self, change: Difference) -> dict[str, Any]:
        before = stored_unit(change.before) if change.before is not None else None
        after = stored_unit(change.after) if change.after is not None else None
        unit = after or before
        assert unit is not None
        content_type = self._content_type(unit)
        body = change.after or change.before or b""
        fields = {
            "type": unit.type,
            "group": unit.group,
            "key": unit.key,
            "version": content_type.summary(unit).version,
            "digest": str(Digest.of(body)),
            "size": declared_size(unit),
            "reason": content_type.describe_change(before, after) if before and after else None,  # type: ignore[arg-type]  # same fields
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _content_type(self, unit: StoredUnit) -> type[ContentType]:
        """Return the unit's content type, or the base class if its plugin is gone.

        History stays readable without the plugin.
        """
        return (
            self._registry.content_type(unit.type)
            if self._registry.find("content-type", unit.type)
            else ContentType
        )

    def _document(
        self, resource: ActualResource, actual: ActualState, conditions: list[Condition]
    ) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": resource.ref.name}
        if resource.labels:
            metadata["labels"] = dict(resource.labels)
        if resource.annotations:
            metadata["annotations"] = dict(resource.annotations)
        unavailable = self._unavailable(resource, actual)
        conditions = conditions if unavailable is None else [*conditions, unavailable]
        status = {**self._status(resource, actual), "conditions": conditions}
        return {
            "apiVersion": API_VERSION,
            "kind": resource.ref.kind.value,
            "metadata": metadata,
            "spec": dict(resource.spec),
            "status": status,
        }

    def _status(self, resource: ActualResource, actual: ActualState) -> dict[str, Any]:
        name = resource.ref.name
        if resource.ref.kind is Kind.REPOSITORY:
            state = actual.repositories[name]
            record = self._reader.version(state.id, state.number)
            latest = {
                "number": state.number,
                "digest": str(state.digest),
                "createdAt": _time(record.created_at) if record else None,
                "counts": self._reader.counts(state.id, state.number),
            }
            return {"latestVersion": latest, **self._uploads(resource, state.id)}
        if resource.ref.kind is Kind.PUBLICATION:
            shown = self._reader.publication(actual.publications[name].id)
            if shown is None:
                return {"version": None, "path": resource.spec.get("path")}
            return {
                "version": shown.version,
                "versionDigest": str(shown.version_digest),
                "digest": str(shown.digest),
                "path": resource.spec.get("path"),
                "publishedAt": _time(shown.published_at),
                "withheld": shown.verdict.units,
                **self._withheld(actual.publications[name].id, shown),
                **self._quarantined(resource, actual, shown),
                **self._delisted(resource, actual, shown),
            }
        return {}

    def _uploads(self, resource: ActualResource, repository_id: int) -> dict[str, Any]:
        """Return what is uploaded to a repository that takes uploads, or has taken some."""
        totals = self._reader.upload_totals(repository_id)
        takes = any("upload" in source for source in resource.spec.get("sources", ()))
        if not takes and not totals.files:
            return {}
        return {"uploads": {"files": totals.files, "bytes": totals.size}}

    def _quarantined(
        self, resource: ActualResource, actual: ActualState, shown: PublicationRecord
    ) -> dict[str, Any]:
        """Return the groups that a publication shows although upstream withdrew them."""
        repository = actual.repositories.get(str(resource.spec.get("repository")))
        withdrawn = Withdrawals(self._reader).of(repository.name) if repository else {}
        if repository is None or not withdrawn:
            return {}
        held = still_shown(self._reader, repository.id, shown.version, withdrawn=withdrawn)
        publication_id = actual.publications[resource.ref.name].id
        hidden = self._reader.quarantined_groups(publication_id, shown.number) if held else set()
        names = [name for name in held if name not in hidden]
        return {"quarantinedShown": names} if names else {}

    def _delisted(
        self, resource: ActualResource, actual: ActualState, shown: PublicationRecord
    ) -> dict[str, Any]:
        """Return the units that a publication shows although upstream no longer lists them."""
        repository = actual.repositories.get(str(resource.spec.get("repository")))
        if repository is None:
            return {}
        units = DelistedUnits(self._reader).of(
            repository.name,
            shown.version,
            withdrawn=Withdrawals(self._reader).of(repository.name),
        )
        publication_id = actual.publications[resource.ref.name].id
        withheld = self._reader.withheld(publication_id, shown.number) if units else {}
        left = [unit for unit in units if unit.digest not in withheld]
        return {"delistedShown": delisted_document(summarize(left))} if left else {}

    def _withheld(self, publication_id: int, shown: PublicationRecord) -> dict[str, Any]:
        """Return the first withheld units of a publication."""
        if not shown.verdict.units:
            return {}
        units = self._reader.withheld(publication_id, shown.number, limit=WITHHELD_ENTRIES)
        fields = (
            {
                "type": unit.type,
                "group": unit.group,
                "key": unit.key,
                "digest": str(unit.digest),
                "reason": unit.reason,
            }
            for unit in units.values()
        )
        return {"withheldUnits": list(fields)}

    def _unavailable(self, resource: ActualResource, actual: ActualState) -> dict[str, str] | None:
        """Return the condition `PluginAvailable=False`, None if the plugin can be used."""
        user = _plugin(resource, actual)
        if user is None:
            return None
        kind, id = user
        plugin = self._registry.find(kind, id)
        if plugin is not None and plugin.enabled:
            return None
        try:
            (self._registry.importer if kind == "importer" else self._registry.publisher)(id)
        except PluginFault as fault:
            return {
                "type": "PluginAvailable",
                "status": "False",
                "reason": "Disabled" if plugin else "NotInstalled",
                "message": fault.message,
            }
        return None

    def _conditions(self) -> tuple[dict[str, Condition], dict[str, Condition]]:
        """Return the condition `Ready` of each resource, and `Stalled` of those that wait.

        Each with the time of its last transition, as far back as runs are looked at.
        """
        conditions: dict[str, Condition] = {}
        stalled: dict[str, Condition] = {}
        settled: set[str] = set()
        ended: set[str] = set()
        for run in self._reader.runs(RUNS):  # newest first
            time = _time(run.finished_at or run.started_at)
            for outcome in run.outcomes:
                if outcome.ref not in ended and not _note_stalled(outcome, stalled, time):
                    ended.add(outcome.ref)
                status = "True" if outcome.result in ("done", "unchanged") else "False"
                condition = conditions.setdefault(
                    outcome.ref,
                    {
                        "type": "Ready",
                        "status": status,
                        "reason": outcome.result.capitalize(),
                        "message": outcome.message,
                    },
                )
                if condition["status"] != status:
                    settled.add(outcome.ref)
                elif outcome.ref not in settled:
                    condition["lastTransitionTime"] = time
        return conditions, stalled

    def _repository_id(self, name: str) -> int:
        state = self._reader.actual_state().repositories.get(name)
        if state is None:
            raise UsageFault(
                f"there is no repository `{name}`",
                hint="`reconciler get repository` lists what there is",
            )
        return state.id


def _note_stalled(outcome: Outcome, stalled: dict[str, Condition], time: str) -> bool:
    """Note the condition `Stalled`: a person has to decide. Return whether it held in this run.

    Outcomes come newest first.
    """
    condition = stalled.get(outcome.ref)
    if not outcome.cause or (condition is not None and condition["reason"] != outcome.cause):
        return False
    if condition is None:
        condition = stalled[outcome.ref] = {
            "type": "Stalled",
            "status": "True",
            "reason": outcome.cause,
            "message": outcome.message,
        }
    condition["lastTransitionTime"] = time
    return True


def parse_ref(text: str) -> Ref:
    """Parse `repository/team`. Raises UsageFault."""
    kind, separator, name = text.partition("/")
    if not separator or not name:
        raise UsageFault(f"`{text}` is not KIND/NAME", hint="for instance `repository/team`")
    return Ref(parse_kind(kind), name)


def parse_kind(text: str) -> Kind:
    """Parse the name of a kind, in any case, singular or plural. Raises UsageFault."""
    plurals = {"repositories": Kind.REPOSITORY}
    for kind in Kind:
        if text.lower() in (kind.lower(), f"{kind.lower()}s") or plurals.get(text.lower()) is kind:
            return kind
    names = [kind.lower() for kind in Kind]
    begun = [name for name in names if text and name.startswith(text.lower())]
    close = begun or get_close_matches(text.lower(), names, n=1)
    hint = f"did you mean `{close[0]}`? " if len(close) == 1 else ""
    raise UsageFault(f"`{text}` is no kind", hint=f"{hint}kinds: {', '.join(names)}")


def _plugin(resource: ActualResource, actual: ActualState) -> tuple[str, str] | None:
    """Return kind and ID of the plugin that a Repository or Publication uses, else None."""
    if resource.ref.kind is Kind.REPOSITORY:
        return "importer", resource.spec["type"]
    shown = publisher_of(resource, actual.resources)
    return None if shown is None else ("publisher", shown[1])


def _version(record: VersionRecord) -> dict[str, Any]:
    return {
        "number": record.number,
        "digest": str(record.digest),
        "createdAt": _time(record.created_at),
        "added": record.added,
        "removed": record.removed,
        "changed": record.changed,
        "provenance": dict(record.provenance),
    }


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except ValueError:
        raise UsageFault(
            f"`{text}` is neither a version number nor a digest",
            hint="a digest is `sha256:` and 64 hex digits",
        ) from None


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
