"""Requests of those who manage the content of a publication: yank, mark, remove.

`POST <publication>/manage/<action>`, a form with `what` (several times for several), and `reason`
or `status` where the action has one. The same for every type; the plugin reads `what`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from reconciler.engine.uploads.decided_changes import UploadResult
from reconciler.engine.uploads.marking import MarkRequest, marked_message
from reconciler.errors import Malformed
from reconciler.model import MANAGE_PATH, STATUS, YANK
from reconciler.plugin import Answer, Endpoint, ReceivedRequest
from reconciler.plugin.endpoints import Matched

_KINDS = {"yank": YANK, "unyank": YANK, "mark": STATUS, "unmark": STATUS}
REMOVE = "remove"
ACTIONS = (*_KINDS, REMOVE)


def action_of(path: str) -> str:
    """Return the action that a path asks for; empty where it is none."""
    action = path.removeprefix(MANAGE_PATH) if path.startswith(MANAGE_PATH) else ""
    return action if action in ACTIONS else ""


def endpoints_of(path: str) -> dict[str, Matched]:
    """Return the endpoint of an action, by method; none for other paths."""
    return {"POST": Matched(Endpoint("POST", path, form=True), {})} if action_of(path) else {}


def content_of(fields: Mapping[str, str]) -> list[str]:
    """Return what a form is about. Raises Malformed where it says nothing."""
    whats = [line for line in fields.get("what", "").splitlines() if line.strip()]
    if not whats:
        raise Malformed(
            "the form has no field `what`", hint="`-F what=foo==1.0`, as often as needed"
        )
    return whats


def mark_request(action: str, fields: Mapping[str, str]) -> MarkRequest:
    """Return what a form asks to mark. Raises Malformed for one that is not whole."""
    status = fields.get("status", "")
    if action == "mark" and not status:
        raise Malformed("the form has no field `status`", hint="`-F status=archived`")
    return MarkRequest(
        _KINDS[action],
        content_of(fields),
        value=status,
        reason=fields.get("reason", ""),
        undo=action.startswith("un"),
    )


def answer(request: ReceivedRequest, result: UploadResult, message: list[str]) -> Answer:
    """Return the answer to a request: a sentence, or JSON for clients that ask for it."""
    if "json" not in request.headers.get("accept", ""):
        return Answer(200, "".join(f"{line}\n" for line in message).encode())
    document = {
        "version": result.version,
        "changed": list(result.names),
        "delayed": list(result.delayed),
    }
    return Answer(200, msgspec.json.encode(document), "application/json")


def mark_answer(request: ReceivedRequest, result: UploadResult, mark: MarkRequest) -> Answer:
    """Return the answer to a request that marks content."""
    return answer(request, result, marked_message(result, mark))


def removal_answer(request: ReceivedRequest, result: UploadResult) -> Answer:
    """Return the answer to a request that removes uploads."""
    names = ", ".join(f"`{name}`" for name in result.names)
    first = f"version {result.version} no longer holds {names}"
    return answer(request, result, [first, *result.delayed])
