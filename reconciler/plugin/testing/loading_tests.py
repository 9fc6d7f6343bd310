"""Tests of metadata, options and configurations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.errors import ManifestFaults
from reconciler.manifest import schema
from reconciler.plugin.testing.base_tests import BaseTests, apply_or_skip, skip
from reconciler.plugin.testing.sandbox import NAME, Document, Sandbox, registry_of
from reconciler.plugin.testing.subject import Subject

UNKNOWN = "noSuchKey"


class LoadingTests(BaseTests):
    """Tests of metadata, options and configurations."""

    def test_plugin_is_enabled(self, tmp_path: Path) -> None:
        """Metadata, API range, base classes and option models are valid."""
        for plugin in registry_of(self.subject()).all():
            assert plugin.enabled, f"the {plugin.kind} `{plugin.id}` is disabled: {plugin.reason}"

    def test_options_are_strict_and_described(self, tmp_path: Path) -> None:
        """The JSON Schema can be composed, and unknown keys are refused.

        Unknown keys of a source of each kind, a Publication and a Filter.
        """
        with self._sandbox(tmp_path) as sandbox:
            schema(sandbox.registry)
            sandbox.desired()
            subject, unknown = sandbox.subject, {UNKNOWN: 1}
            cases = {"importer's `options`": sandbox.usual(source={**subject.source, **unknown})}
            cases["importer's `filter_options`"] = sandbox.usual(rules={**subject.rules, **unknown})
            cases |= {
                f"importer's options of sources `{kind}`": sandbox.usual(sources=[source])
                for kind, source in sources_with(subject, unknown).items()
            }
            if subject.publisher is not None:
                cases["publisher's `options`"] = sandbox.usual(
                    publication={**subject.publication, **unknown}
                )
            for model, documents in cases.items():
                assert UNKNOWN in _faults(sandbox, documents), (
                    f"the {model} accept the unknown key `{UNKNOWN}`: derive the model from"
                    " Options, and do not set `extra`"
                )

    def test_refused_configurations_are_not_stored(self, tmp_path: Path) -> None:
        """The configurations in `Subject.refused` are refused while planning.

        For a new repository and for an existing one.
        """
        if not self.subject().refused:
            skip("no configuration to refuse: list some in `Subject.refused`")
        with self._sandbox(tmp_path / "existing") as existing:
            apply_or_skip(existing)
            for number, keys in enumerate(existing.subject.refused):
                for sandbox in (Sandbox(existing.subject, tmp_path / f"new-{number}"), existing):
                    _check_refused(sandbox, keys)


def sources_with(subject: Subject, more: Mapping[str, Any]) -> dict[str, Document]:
    """Return a source for uploads, and one that copies from a repository, with more keys."""
    return {
        "upload": {"upload": {**subject.upload_source, **more}},
        "repository": {"repository": {"name": "base", **subject.copy_source, **more}},
    }


def _check_refused(sandbox: Sandbox, keys: Mapping[str, Any]) -> None:
    before = (sandbox.version(), _of_repository(sandbox))
    documents = sandbox.usual(source=keys)
    if _faults(sandbox, documents):
        return  # the option model refuses them
    sandbox.documents = documents
    refused = [
        change.refusal
        for change in sandbox.plan().changes
        if str(change.ref) == f"repository/{NAME}"
    ]
    sandbox.apply()
    assert any(refused), (
        f"the keys {dict(keys)} are accepted: raise OptionFault in `validate_config`, or in a"
        " validator of the option model"
    )
    assert (
        sandbox.version(),
        _of_repository(sandbox),
    ) == before, f"the keys {dict(keys)} are refused, but the repository was changed"


def _of_repository(sandbox: Sandbox) -> list[str]:
    return [text for text in sandbox.recorded() if text.startswith(f"repository/{NAME} ")]


def _faults(sandbox: Sandbox, documents: list[Document]) -> str:
    """Return the faults of these manifests as text; an empty text where there are none."""
    try:
        sandbox.desired(documents)
    except ManifestFaults as faults:
        return str(faults)
    return ""
