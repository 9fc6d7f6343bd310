"""Target of a release: the version, the withheld units, and the digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from reconciler.database import Derivation, Reader
from reconciler.engine.plugin_calls.plugin_settings import settings_digest
from reconciler.engine.publishing.derived_artifacts import ArtifactDeriver, current_derivation
from reconciler.engine.publishing.exports import is_exported
from reconciler.engine.publishing.filter_evaluation import FilterEvaluator, FilterResult
from reconciler.engine.publishing.first_seen_units import FirstSeenUnits
from reconciler.engine.publishing.version_view import RepositoryVersion
from reconciler.engine.publishing.withheld_changes import withheld_changes
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.selection import plain_options
from reconciler.engine.sources.version_reference import VersionReference
from reconciler.errors import GuardRefusal, StateFault
from reconciler.model import (
    ActualPublication,
    ActualRepository,
    ActualState,
    DesiredState,
    Digest,
    FilterVerdict,
    Guard,
    Publication,
)
from reconciler.plan import serving_refusal
from reconciler.plugin.registry import Registry


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """Inputs to the release decision: filters, and the removal guard.

    Attributes:
        desired: The declared state, with the filters in force.
        sources_filtered: As for `FilterEvaluator.evaluate`, where the latest version is released.
        guard: Limits how many units filters may take out of what is served; None when the plan was
            guarded already.
        damage_known: Release although bytes of it are damaged: what can be mended was.
    """

    desired: DesiredState
    sources_filtered: bool = False
    guard: Guard | None = None
    damage_known: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseTarget:
    """Version and withheld units that a publication should serve, beside the current ones.

    Attributes:
        current: The publication as recorded.
        version: The version that should be served.
        filtered: What filters decide about that version.
        digest: Identity of the publication that should be served.
        derivation: Identity of the derived artifacts that it should show.
        first_seen: Identity of the first sights that it should show as dates; None where none is.
        refusal: (message, hint) of the guard that forbids it, or None.
        secrets: Fingerprints of the secrets in the publisher's options.
    """

    publication: Publication
    current: ActualPublication
    version: RepositoryVersion
    filtered: FilterResult
    digest: Digest
    derivation: Derivation = field(default_factory=Derivation)
    first_seen: Digest | None = None
    refusal: tuple[str, str] | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Return True if another publication has to be pointed to."""
        return self.current.digest != self.digest or self.current.version != self.version.number

    @property
    def served(self) -> bool:
        """Return True if the target is served and every export shows it."""
        return not self.differs and all(
            is_exported(path, self.digest, self.publication.base_url)
            for path in self.publication.exports
        )

    @property
    def filters_recorded(self) -> bool:
        """Return True if what filters decide is what the database says."""
        return self.filtered.summary == self.current.verdict

    def raise_refusal(self) -> None:
        """Raise GuardRefusal where the guard of the repository forbids the release."""
        if self.refusal is not None:
            message, hint = self.refusal
            raise GuardRefusal(message, hint=hint)


def publication_digest(
    registry: Registry,
    publication: Publication,
    version_digest: Digest,
    *,
    filtered: FilterVerdict,
    derivation: Derivation,
    first_seen: Digest | None,
    secrets: Mapping[str, str],
) -> Digest:
    """Return the identity of what is served: a version without withheld units, as rendered.

    It covers the publisher, its options and settings and the revision of its output, the derived
    artifacts that are shown, the first sights that are shown as dates, and whether an address is
    declared; which one is no part of it.

    Args:
        secrets: Fingerprints of the secrets in the publisher's options.
    """
    publisher: Any = registry.publisher(publication.publisher).cls
    settings = settings_digest(publication.config, publication.options)
    return Digest.of_value(
        [
            str(version_digest),
            publication.publisher,
            plain_options(publication.options),
            [str(filtered.withheld)] if filtered.withheld else [],
            int(publisher.revision),
            *([str(derivation.digest)] if derivation.digest else []),
            *([f"first seen {first_seen}"] if first_seen else []),
            *([[str(settings)]] if settings else []),
            *(["an address is declared"] if publication.base_url else []),
            *([dict(secrets)] if secrets else []),
        ]
    )


def release_target(
    session: WritingSession, publication: Publication, actual: ActualState, *, policy: ReleasePolicy
) -> ReleaseTarget:
    """Determine the release target of `publication`. Call it in a worker thread.

    Raises:
        StateFault: The repository has no version as declared.
        PluginFault: A content type broke the contract of `select`.
    """
    state = actual.repositories[publication.repository]
    version = _declared_version(session, publication, state)
    current = actual.publications[publication.meta.name]
    evaluator = FilterEvaluator(session, policy.desired, publication, now=session.clock())
    filtered = evaluator.evaluate(
        current,
        version,
        sources_filtered=policy.sources_filtered and version.number == state.number,
    )
    refusal = None
    if policy.guard is not None:
        changes = withheld_changes(evaluator, filtered, current=current, version=version)
        if changes is not None:
            name, repository = publication.meta.name, publication.repository
            refusal = serving_refusal(
                name, changes, repository, guard=policy.guard, allow_destroy=False
            )
    ArtifactDeriver(session).examine(version)
    derivation = current_derivation(session.reader, current, version)
    secrets = session.secrets.shown_by(publication, actual)
    identify = partial(
        publication_digest,
        session.registry,
        publication,
        version.digest,
        filtered=filtered.summary,
        derivation=derivation,
        secrets=secrets,
    )
    undated = FirstSeenUnits(session, publication)
    first_seen = recorded_first_seen(session.writer, undated, current)
    if undated and identify(first_seen=first_seen) != current.digest:
        first_seen = undated.digest(version)
    digest = identify(first_seen=first_seen)
    return ReleaseTarget(
        publication, current, version, filtered, digest, derivation, first_seen, refusal, secrets
    )


def recorded_first_seen(
    reader: Reader, undated: FirstSeenUnits, current: ActualPublication
) -> Digest | None:
    """Return the identity of the first sights that a publication shows now.

    It holds for as long as the publication is the same but for them: first sights never change.
    """
    record = reader.publication(current.id) if undated else None
    return record.first_seen if record is not None else None


def _declared_version(
    session: WritingSession, publication: Publication, state: ActualRepository
) -> RepositoryVersion:
    version = VersionReference(publication.version).resolve(session.reader, state)
    if version is None:
        raise StateFault(
            f"repository `{publication.repository}` has no version `{publication.version}`"
        )
    return RepositoryVersion(state.id, version.number, version.digest)
