"""Tests of uploads."""

from __future__ import annotations

from pathlib import Path

from reconciler.errors import PluginFault, ReconcilerError
from reconciler.plugin import Importer
from reconciler.plugin.testing.base_tests import BaseTests, apply_or_skip, skip
from reconciler.plugin.testing.sandbox import Sandbox
from reconciler.plugin.testing.subject import Subject


class UploadTests(BaseTests):
    """Tests of `upload`, for subjects with files to upload."""

    def test_uploads_are_idempotent(self, tmp_path: Path) -> None:
        """Each file in `Subject.uploads` adds units; a second upload changes nothing.

        The files are published.
        """
        if not self.subject().uploads:
            skip(f"{_upload_support(self.subject())}: no `Subject.uploads`")
        with self._sandbox(tmp_path) as sandbox:
            _open_for_uploads(sandbox)
            for name, data in sandbox.subject.uploads.items():
                before, shown = sandbox.units(), sandbox.shown()
                number = _upload(sandbox, name, data)
                assert sandbox.units() != before, f"the upload of `{name}` added no unit"
                assert sandbox.subject.publisher is None or sandbox.shown() != shown, (
                    f"the publication did not change when `{name}` was uploaded"
                )
                again = _upload(sandbox, name, data)
                assert again == number, (
                    f"`{name}` was uploaded twice, which made versions {number} and {again}: the"
                    " same file must give the same unit; does its metadata hold the time of the"
                    " upload?"
                )

    def test_a_refused_upload_stores_nothing(self, tmp_path: Path) -> None:
        """Each file in `Subject.refused_uploads` is refused with a reason."""
        if not self.subject().refused_uploads:
            skip(f"{_upload_support(self.subject())}: no `Subject.refused_uploads`")
        with self._sandbox(tmp_path) as sandbox:
            _open_for_uploads(sandbox)
            for name, data in sandbox.subject.refused_uploads.items():
                before = sandbox.version(), _stored(sandbox)
                reason = _refused(sandbox, name, data)
                assert reason is not None, (
                    f"the upload of `{name}` was accepted: raise Refused in `upload`"
                )
                assert not isinstance(reason, PluginFault), (
                    f"the upload of `{name}` makes the importer fail: {reason}; raise Refused"
                    " with a reason"
                )
                assert (
                    sandbox.version(),
                    _stored(sandbox),
                ) == before, f"the upload of `{name}` was refused, but something of it was stored"


def _open_for_uploads(sandbox: Sandbox) -> None:
    sandbox.documents = sandbox.usual(sources=[{"upload": dict(sandbox.subject.upload_source)}])
    apply_or_skip(sandbox)


def _upload(sandbox: Sandbox, name: str, data: bytes) -> int:
    try:
        return sandbox.upload(name, data)
    except ReconcilerError as error:
        sent = (
            f"with the fields {dict(sandbox.subject.fields)}"
            if sandbox.subject.fields
            else "without fields; set them by `Subject.fields`"
        )
        raise AssertionError(
            f"the upload of `{name}` was refused: {error} (it was sent {sent})"
        ) from error


def _refused(sandbox: Sandbox, name: str, data: bytes) -> ReconcilerError | None:
    try:
        sandbox.upload(name, data)
    except ReconcilerError as error:
        return error
    return None


def _stored(sandbox: Sandbox) -> list[str]:
    return sorted(name for name in sandbox.files() if name.startswith("store/"))


def _upload_support(subject: Subject) -> str:
    cls: type = subject.importer()[0]
    return (
        "the importer accepts no uploads"
        if getattr(cls, "upload", None) is Importer.upload
        else "the importer accepts uploads, and there are none to test"
    )
