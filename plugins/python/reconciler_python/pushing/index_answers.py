"""Answers of indexes that are no success, and their meaning.

There is no standard: a name that is taken is 409, or 400 with words that clients look for.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any, Final

import msgspec

from reconciler.plugin import UploadAnswer

# the reference index, devpi and pypiserver; GitLab; Nexus; Artifactory
_TAKEN: Final = re.compile(
    r"already exist|already been taken|updating asset|overwrite artifact", re.IGNORECASE
)
_TAG: Final = re.compile(r"<[^<>]*>")
_HIDDEN: Final = tuple(  # elements that a browser does not show, and what ends each
    (re.compile(rf"<{name}\b.*?</{name}>", flags), re.compile(f"</{name}>", flags))
    for name in ("script", "style", "head")
    for flags in (re.IGNORECASE | re.DOTALL,)
)
_STRANGE: Final = 405
_LARGE: Final = 413
_REFUSED_LOGIN: Final = frozenset({401, 403})


def meaning(status: int, reason: str, body: bytes) -> UploadAnswer:
    """Return what an answer of 400 to 499 means."""
    text = _said(body)
    if status == 409 or (status in (400, 403) and _TAKEN.search(f"{reason} {text}")):
        return UploadAnswer(exists=True, message=text or reason)
    # a server that says more than the standard phrase says it for people
    message = reason if reason and " " in reason and reason in text else text or reason
    return UploadAnswer(message=message, hint=_hint(status, message))


def _hint(status: int, message: str) -> str:
    if status in _REFUSED_LOGIN:
        return "`auth` of the index, a section of `.pypirc`, or a trusted publisher"
    if status == _STRANGE:
        return "this looks like the address of pages: `url` is where files are sent"
    if status == _LARGE:
        return "the index takes no file of that size"
    if "attestation" in message.lower():
        return "`attestations: false` sends files without them"
    return ""


def _said(body: bytes) -> str:
    """Return what an answer says, as one line of text."""
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        return _of_json(text)
    return " ".join(unescape(_TAG.sub(" ", _shown(text))).split())


def _shown(text: str) -> str:
    """Return a page without its hidden elements.

    What never ends is not looked at: each one's end would be searched to the end of the page.
    """
    for element, closing in _HIDDEN:
        end = max((match.end() for match in closing.finditer(text)), default=0)
        text = element.sub(" ", text[:end]) + text[end:]
    return text


def _of_json(text: str) -> str:
    try:
        document: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    for key in ("detail", "message", "title", "error"):
        value = document.get(key)
        if isinstance(value, str) and value:
            return value
    return text
