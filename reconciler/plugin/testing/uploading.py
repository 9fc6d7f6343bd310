"""Are files taken that should be, and not taken that should not?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reconciler.errors import PluginFault, ReconcilerError
from reconciler.plugin import Importer
from reconciler.plugin.testing.examination import Examination, applied, skip
from reconciler.plugin.testing.subject import Subject
from reconciler.plugin.testing.trial import Trial

SOURCES: list[dict[str, Any]] = [{"upload": {}}]


class Uploading(Examination):
    """Tests of `upload`, for subjects that come with files."""

    def test_uploads_arrive_once(self, tmp_path: Path) -> None:
        """`Subject.uploads`: each file becomes units and is shown; sent again it changes nothing."""
        if not self.subject().uploads:
            skip(f"{_what_is_there(self.subject())}: no `Subject.uploads`")
        with self._trial(tmp_path) as trial:
            _open_for_uploads(trial)
            for name, data in trial.subject.uploads.items():
                before, shown = trial.units(), trial.shown()
                number = _taken(trial, name, data)
                assert trial.units() != before, f"the upload of `{name}` made no unit"
                assert trial.subject.publisher is None or trial.shown() != shown, (
                    f"the publication does not show that `{name}` was uploaded"
                )
                again = _taken(trial, name, data)
                assert again == number, (
                    f"`{name}` was uploaded twice and made version {number} and {again}: the same"
                    " file must become the same unit; does its metadata hold the time of the"
                    " upload?"
                )

    def test_a_refused_upload_stores_nothing(self, tmp_path: Path) -> None:
        """`Subject.refused_uploads`: each is refused with a reason for whoever sent it."""
        if not self.subject().refused_uploads:
            skip(f"{_what_is_there(self.subject())}: no `Subject.refused_uploads`")
        with self._trial(tmp_path) as trial:
            _open_for_uploads(trial)
            for name, data in trial.subject.refused_uploads.items():
                before = trial.version(), _stored(trial)
                reason = _refused(trial, name, data)
                assert reason is not None, (
                    f"the upload of `{name}` was taken: raise Refused in `upload`"
                )
                assert not isinstance(reason, PluginFault), (
                    f"the upload of `{name}` makes the importer stumble: {reason}; raise Refused"
                    " with a reason"
                )
                assert (
                    trial.version(),
                    _stored(trial),
                ) == before, (
                    f"the upload of `{name}` was refused, and something of it is stored nevertheless"
                )


def _open_for_uploads(trial: Trial) -> None:
    trial.documents = trial.usual(sources=SOURCES)
    applied(trial)


def _taken(trial: Trial, name: str, data: bytes) -> int:
    try:
        return trial.upload(name, data)
    except ReconcilerError as error:
        sent = (
            f"with the fields {dict(trial.subject.fields)}"
            if trial.subject.fields
            else "without fields, which `Subject.fields` may name"
        )
        raise AssertionError(
            f"the upload of `{name}` is not taken: {error} (it was sent {sent})"
        ) from error


def _refused(trial: Trial, name: str, data: bytes) -> ReconcilerError | None:
    try:
        trial.upload(name, data)
    except ReconcilerError as error:
        return error
    return None


def _stored(trial: Trial) -> list[str]:
    return sorted(name for name in trial.files() if name.startswith("store/"))


def _what_is_there(subject: Subject) -> str:
    cls: type = subject.importer()[0]
    return (
        "it takes no uploads"
        if getattr(cls, "upload", None) is Importer.upload
        else "it takes uploads, and there are none to try"
    )
