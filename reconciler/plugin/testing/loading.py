"""Is it a plugin, and are its keys those of a manifest?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.errors import ManifestFaults
from reconciler.manifest import schema
from reconciler.plugin.testing.examination import Examination, applied, skip
from reconciler.plugin.testing.trial import NAME, Document, Trial, registry_of

UNKNOWN = "noSuchKey"


class Loading(Examination):
    """Tests that need no upstream, or none yet."""

    def test_it_is_enabled(self, tmp_path: Path) -> None:
        """Metadata, API range, bases, option models: nothing about the plugin keeps it from being
        loaded.
        """
        for plugin in registry_of(self.subject()).all():
            assert plugin.enabled, f"the {plugin.kind} `{plugin.id}` is disabled: {plugin.reason}"

    def test_options_are_strict_and_described(self, tmp_path: Path) -> None:
        """The schema for editors can be composed, and a key that nobody knows is refused at its
        line: in a source, a Publication, a Filter.
        """
        with self._trial(tmp_path) as trial:
            schema(trial.registry)
            trial.desired()
            subject, unknown = trial.subject, {UNKNOWN: 1}
            tried = {"importer's `options`": trial.usual(source={**subject.source, **unknown})}
            tried["importer's `filter_options`"] = trial.usual(rules={**subject.rules, **unknown})
            if subject.publisher is not None:
                tried["publisher's `options`"] = trial.usual(
                    publication={**subject.publication, **unknown}
                )
            for model, documents in tried.items():
                assert UNKNOWN in _faults(trial, documents), (
                    f"the {model} accept the unknown key `{UNKNOWN}`: derive the model from"
                    " Options, and leave `extra` as it is"
                )

    def test_what_it_refuses_is_not_stored(self, tmp_path: Path) -> None:
        """`Subject.refused`: keys of a source that make no sense together are refused while
        planning, at first and as a change.
        """
        if not self.subject().refused:
            skip("no configuration to refuse: `Subject.refused` may name some")
        with self._trial(tmp_path / "settled") as settled:
            applied(settled)
            for number, keys in enumerate(settled.subject.refused):
                for trial in (Trial(settled.subject, tmp_path / f"new-{number}"), settled):
                    _check_refused(trial, keys)


def _check_refused(trial: Trial, keys: Mapping[str, Any]) -> None:
    before = (trial.version(), _of_repository(trial))
    documents = trial.usual(source=keys)
    if _faults(trial, documents):
        return  # its option model refuses it already
    trial.documents = documents
    refused = [
        change.refusal for change in trial.plan().changes if str(change.ref) == f"repository/{NAME}"
    ]
    trial.apply()
    assert any(refused), (
        f"the keys {dict(keys)} are accepted: raise OptionFault in `validate_config`, or in a"
        " validator of the option model"
    )
    assert (
        trial.version(),
        _of_repository(trial),
    ) == before, f"the keys {dict(keys)} are refused, and something of them is stored nevertheless"


def _of_repository(trial: Trial) -> list[str]:
    return [one for one in trial.recorded() if one.startswith(f"repository/{NAME} ")]


def _faults(trial: Trial, documents: list[Document]) -> str:
    """What is wrong with these manifests; empty where nothing is."""
    try:
        trial.desired(documents)
    except ManifestFaults as faults:
        return str(faults)
    return ""
