"""Evidence beyond the index's page, for filters that need it: licences and attestations.

It costs requests, so only files that everything else lets in are read. `latest` may let in another
release when one is refused, so it repeats until nothing new comes in. A missing or invalid document
is unknown evidence, and decided as such; a temporary failure is the failure of the group, whose
content stays.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from reconciler.plugin import ActiveFilter, Artifact, Gone, Malformed, Unit, UpstreamConduit
from reconciler_python.evidence.attestations import (
    ATTESTATION_FACTS,
    AttestationRules,
    attestation_reason,
)
from reconciler_python.evidence.licences import (
    LICENCE_FACTS,
    LicenceRules,
    licence_facts,
    licence_reason,
)
from reconciler_python.evidence.provenance import PROVENANCE_ENDING, provenance_facts
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.core_metadata import (
    UnreadableMetadata,
    core_metadata,
    metadata_of,
)
from reconciler_python.reading.filenames import SDIST, WHEEL
from reconciler_python.reading.units import PROVENANCE_URL, is_installable
from reconciler_python.selecting.selection import ProjectSelection

_PROVENANCE_TYPE: Final = "application/vnd.pypi.integrity.v1+json, application/json;q=0.9"
_UNASKED: Final = {"unasked": True}
_AT_ONCE: Final = 16  # files of one project: what is read of them is in memory


@dataclass(frozen=True, slots=True)
class _Questions:
    """The evidence that the filters in force need of a file."""

    licences: Sequence[LicenceRules]
    attestations: Sequence[AttestationRules]

    def __bool__(self) -> bool:
        return bool(self.licences or self.attestations)

    @property
    def verify(self) -> bool:
        return any(rules.verify for rules in self.attestations)

    def refuse(self, unit: Unit) -> bool:
        return any(licence_reason(unit, rules) for rules in self.licences) or any(
            attestation_reason(unit, rules) for rules in self.attestations
        )

    def unasked(self, unit: Unit) -> Unit:
        """Return the unit marked as one whose evidence does not matter.

        Something else keeps it out.
        """
        keys = ([LICENCE_FACTS] if self.licences else []) + (
            [ATTESTATION_FACTS] if self.attestations else []
        )
        return _with(unit, dict.fromkeys(keys, _UNASKED))


def needs_evidence(
    options: SelectionOptions, filters: Sequence[ActiveFilter[FilterOptions]]
) -> bool:
    """Return True if one of the filters, or the source's own, needs evidence."""
    return bool(_questions([*(active.options for active in filters), options.filter]))


async def with_evidence(
    conduit: UpstreamConduit[SelectionOptions, FilterOptions],
    group_name: str,
    units: Iterable[Unit],
) -> list[Unit]:
    """Return the units of one project with their evidence on licence and attestations.

    Only relevant files are read; the result is ready for `select`. A provenance object becomes an
    artifact of its unit. Without a filter that needs evidence, the units are returned as they are.
    Raises what `conduit` raises, but for Gone and Malformed.
    """
    result = list(units)
    questions = _questions(
        [*(active.options for active in conduit.filters), conduit.options.filter]
    )
    if not questions:
        return result
    others = [unit for unit in result if not is_installable(unit)]
    distributions = {unit.key: unit for unit in result if is_installable(unit)}
    read = await _asked(conduit, group_name, distributions, questions=questions)
    return [
        *others,
        *(read.get(key) or questions.unasked(unit) for key, unit in distributions.items()),
    ]


async def _asked(
    conduit: UpstreamConduit[SelectionOptions, FilterOptions],
    group: str,
    units: Mapping[str, Unit],
    *,
    questions: _Questions,
) -> dict[str, Unit]:
    """Return by key those that evidence lets in, and those that only evidence keeps out."""
    selection = ProjectSelection(
        group,
        _without_evidence(conduit.options),
        _others_without_evidence(conduit.filters),
        now=conduit.now,
    )
    asked: dict[str, Unit] = {}
    left = dict(units)
    limit = asyncio.Semaphore(_AT_ONCE)
    while True:
        chosen = [
            decision.unit.key
            for decision in selection.decide(list(left.values()))
            if decision.accepted and decision.unit.key not in asked
        ]
        if not chosen:
            return asked
        for unit in await asyncio.gather(
            *(_read(conduit, units[key], questions, limit=limit) for key in chosen)
        ):
            asked[unit.key] = unit
            if questions.refuse(unit):
                del left[unit.key]


async def _read(
    conduit: UpstreamConduit[SelectionOptions, FilterOptions],
    unit: Unit,
    questions: _Questions,
    *,
    limit: asyncio.Semaphore,
) -> Unit:
    async with limit:
        if questions.licences:
            unit = _with(unit, {LICENCE_FACTS: await _licence(conduit, unit)})
        return await _attested(conduit, unit, questions.verify) if questions.attestations else unit


async def _licence(
    conduit: UpstreamConduit[SelectionOptions, FilterOptions], unit: Unit
) -> dict[str, Any]:
    try:
        body = await core_metadata(conduit, unit)
    except (Gone, Malformed, UnreadableMetadata) as error:
        return {"problem": str(error)}
    return licence_facts(body) if body else {}


async def _attested(
    conduit: UpstreamConduit[SelectionOptions, FilterOptions], unit: Unit, verify: bool
) -> Unit:
    url = unit.metadata.get(PROVENANCE_URL)
    if not url:
        return _with(unit, {ATTESTATION_FACTS: {}})
    try:
        body = (await conduit.get(url, accept=_PROVENANCE_TYPE)).body
    except (Gone, Malformed) as error:
        return _with(unit, {ATTESTATION_FACTS: {"problem": str(error)}})
    facts = (
        await asyncio.to_thread(_provenance, unit, body, verify)
        if verify
        else _provenance(unit, body, verify)
    )
    if "problem" in facts:
        return _with(unit, {ATTESTATION_FACTS: facts})
    beside = Artifact(f"{unit.key}{PROVENANCE_ENDING}", sha256(body).hexdigest(), len(body), url)
    return msgspec.structs.replace(
        _with(unit, {ATTESTATION_FACTS: facts}), artifacts=[*unit.artifacts, beside]
    )


def with_stored_evidence(
    unit: Unit, filters: Sequence[ActiveFilter[FilterOptions]], read: Callable[[str], bytes | None]
) -> Unit:
    """Return a stored unit with what its own artifacts say of licence and attestations.

    Only where one of these filters asks. `read`: as of `ContentType.load_metadata`.
    """
    questions = _questions(active.options for active in filters)
    facts: dict[str, Any] = {}
    if questions.licences:
        body = _stored_metadata(unit, read)
        facts[LICENCE_FACTS] = licence_facts(body) if body else {}
    if questions.attestations:
        body = read(f"{unit.key}{PROVENANCE_ENDING}")
        facts[ATTESTATION_FACTS] = _provenance(unit, body, questions.verify) if body else {}
    return _with(unit, facts) if facts else unit


def _stored_metadata(unit: Unit, read: Callable[[str], bytes | None]) -> bytes | None:
    paths = {artifact.path for artifact in unit.artifacts}
    beside = read(f"{unit.key}.metadata") if f"{unit.key}.metadata" in paths else None
    if beside is not None or unit.metadata["packageType"] not in (WHEEL, SDIST):
        return beside
    body = read(unit.key)
    return None if body is None else metadata_of(unit, io.BytesIO(body))


def _provenance(unit: Unit, body: bytes, verify: bool) -> dict[str, Any]:
    file = next((artifact.sha256 for artifact in unit.artifacts if artifact.path == unit.key), "")
    return provenance_facts(body, unit.key, file, verify=verify)


def _questions(options: Iterable[FilterOptions | None]) -> _Questions:
    asking = [filter_options for filter_options in options if filter_options is not None]
    licences = [
        filter_options.licenses for filter_options in asking if filter_options.licenses is not None
    ]
    attestations = [
        filter_options.attestations
        for filter_options in asking
        if filter_options.attestations is not None and filter_options.attestations.asks
    ]
    return _Questions(licences, attestations)


def _without_evidence(options: SelectionOptions) -> SelectionOptions:
    """Return the source's options without the keys that need evidence."""
    if options.filter is None:
        return options
    return options.model_copy(update={"filter": _silent(options.filter)})


def _others_without_evidence(
    filters: Sequence[ActiveFilter[FilterOptions]],
) -> list[ActiveFilter[FilterOptions]]:
    return [msgspec.structs.replace(active, options=_silent(active.options)) for active in filters]


def _silent(options: FilterOptions) -> FilterOptions:
    return options.model_copy(update={"licenses": None, "attestations": None})


def _with(unit: Unit, facts: Mapping[str, Any]) -> Unit:
    return msgspec.structs.replace(unit, metadata={**unit.metadata, **facts})
