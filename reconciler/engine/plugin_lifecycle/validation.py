"""Have plugins validate configurations that are new or have changed (`validate_config`).

Runs while planning and writes nothing. A refused configuration is neither recorded nor carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from reconciler.engine.plugin_calls.conduits import ValidationConduit, plugin_faults
from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message, is_unawaited
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession, no_scratchpads
from reconciler.engine.plugin_lifecycle.attachments import recorded_attachments
from reconciler.engine.plugin_lifecycle.plugin_uses import (
    ConfiguredUse,
    PluginUse,
    implements,
    importer_use,
    owner_of,
    publisher_uses,
)
from reconciler.engine.session.session import Session
from reconciler.errors import PluginFault, ReconcilerError
from reconciler.model import ActualRepository, ActualState, DesiredState, Kind, Ref
from reconciler.plugin import OptionFault
from reconciler.plugin.validation import Plugin

_HINT = "nothing of it is stored until it is accepted"


class ConfigurationRefusal(NamedTuple):
    """Reason why a resource is neither recorded nor carried out, with a hint."""

    message: str
    hint: str


async def validate_configurations(
    session: Session, desired: DesiredState, actual: ActualState
) -> dict[Ref, ConfigurationRefusal]:
    """Return the declared resources that a plugin refuses, or whose type would change in place.

    Calls plugins in a worker thread.
    """
    return await asyncio.to_thread(_Validation(session, actual).refusals, desired)


class _Validation:
    """Validation of all configurations of one plan."""

    def __init__(self, session: Session, actual: ActualState) -> None:
        self._session = session
        self._actual = actual

    def refusals(self, desired: DesiredState) -> dict[Ref, ConfigurationRefusal]:
        """Return the refusals by resource."""
        attachments = recorded_attachments(self._session.reader.every_attachment(), self._actual)
        refused = dict(self._other_types(desired))
        for use in self._uses(desired, refused):
            recorded = attachments.get(use.repository, {}).get(use.owner)
            if not implements(use.plugin, "validate_config") or (
                recorded is not None and recorded.config == use.digest
            ):
                continue
            for place in use.places:
                if place.ref not in refused and (refusal := self._validate(use, place)):
                    refused[place.ref] = refusal
        return refused

    def _other_types(self, desired: DesiredState) -> Iterator[tuple[Ref, ConfigurationRefusal]]:
        """Yield repositories declared with another type than their content has.

        The publications that show them are refused too.
        """
        hint = (
            "declare it under another name, and remove the old one with `--prune --allow-destroy`"
        )
        for name, repository in desired.repositories.items():
            recorded = self._actual.resources.get(repository.meta.ref)
            state = self._actual.repositories.get(name)
            if (
                recorded is not None
                and state is not None
                and state.number
                and recorded.spec["type"] != repository.type
            ):
                message = (
                    f"repository `{name}` holds content of the type `{recorded.spec['type']}`: it"
                    f" cannot become one of the type `{repository.type}`"
                )
                yield repository.meta.ref, ConfigurationRefusal(message, hint)
                shown = (
                    publication.meta.ref
                    for publication in desired.publications.values()
                    if publication.repository == name
                )
                yield from (
                    (
                        ref,
                        ConfigurationRefusal(
                            f"it shows a repository that cannot change its type: {message}", hint
                        ),
                    )
                    for ref in shown
                )

    def _uses(
        self, desired: DesiredState, refusals: dict[Ref, ConfigurationRefusal]
    ) -> Iterator[PluginUse]:
        """Yield every declared use of a plugin; refuse resources without a usable one."""
        for repository in desired.repositories.values():
            try:
                yield importer_use(repository, self._session.registry)
            except ReconcilerError as error:
                refusals.setdefault(repository.meta.ref, _refusal(error))
        usable = []
        for publication in desired.publications.values():
            try:
                self._session.registry.publisher(publication.publisher)
                usable.append(publication)
            except ReconcilerError as error:
                refusals[publication.meta.ref] = _refusal(error)
        yield from publisher_uses(usable, self._session.registry)

    def _validate(self, use: PluginUse, configured: ConfiguredUse) -> ConfigurationRefusal | None:
        """Ask the plugin about one use."""
        cls: Any = use.plugin.cls
        state = self._actual.repositories.get(use.repository)
        scratchpads = ScratchpadSession(
            partial(self._session.reader.scratchpad, state.id) if state else no_scratchpads
        )
        place = self._session.workdirs.temporary(use.repository, use.owner)
        call = f"`validate_config` of {use.plugin.kind} `{use.plugin.id}`"
        try:
            with self._session.watch(f"{call} for {configured.ref}") as alive:
                conduit = ValidationConduit(
                    scratchpads,
                    owner_of(use.plugin),
                    configured.options,
                    counts=partial(self._counts, state),
                    alive=alive,
                )
                try:
                    with plugin_faults(call):
                        return self._ask_plugin(
                            cls(), place, configured, conduit=conduit, described=use.plugin
                        )
                finally:
                    conduit.close()
        except ReconcilerError as error:
            return _refusal(error)
        finally:
            place.close()

    @staticmethod
    def _ask_plugin(
        plugin: Any,
        place: Any,
        configured: ConfiguredUse,
        *,
        conduit: ValidationConduit,
        described: Plugin,
    ) -> ConfigurationRefusal | None:
        try:
            if is_unawaited(plugin.validate_config(place, configured.config, conduit)):
                raise PluginFault(
                    "`validate_config` is `async`, and would never run",
                    hint="write `def validate_config`",
                )
        except (OptionFault, ReconcilerError) as error:
            where = (
                f" in {configured.where}"
                if configured.ref.kind is Kind.REPOSITORY and configured.where
                else ""
            )
            return _refusal(
                error,
                f"{described.kind} `{described.id}` refuses the configuration of"
                f" {configured.ref}{where}: ",
            )
        return None

    def _counts(self, state: ActualRepository | None) -> Mapping[str, int]:
        return self._session.reader.counts(state.id, state.number) if state else {}


def _refusal(error: ReconcilerError | OptionFault, begin: str = "") -> ConfigurationRefusal:
    return ConfigurationRefusal(begin + error_message(error), error_hint(error) or _HINT)
