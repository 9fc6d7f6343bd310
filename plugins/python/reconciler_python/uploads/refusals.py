"""Refusals of uploads: a code for programs, and a sentence for people."""

from __future__ import annotations

from reconciler.plugin import Conflict, Refused

__all__ = ["FileExists", "UploadRefused"]


class UploadRefused(Refused):
    """A file, or the request that holds it, breaks a rule of uploads.

    `code`: which one, lasting; lower-case words with hyphens. `status`: of the response.
    """

    def __init__(self, code: str, message: str, *, hint: str | None = None, status: int = 400):
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status


class FileExists(Conflict):
    """Something else is there already. twine and poetry look for the words `already exists`."""

    def __init__(self, code: str, message: str, *, hint: str | None = None):
        super().__init__(message, hint=hint)
        self.code = code
        self.status = 409
