"""Tests for secrets in what a plugin leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from reconciler.engine.run.fingerprints import option_secrets
from reconciler.plan import Plan
from reconciler.plan.document import render_json
from reconciler.plugin.testing.base_tests import BaseTests, skip
from reconciler.plugin.testing.sandbox import Sandbox, failures_of
from reconciler.redaction import SecretRegister
from reconciler.secret_values import reveal


class SecrecyTests(BaseTests):
    """Tests for secrets in pages, logs, plans and the state."""

    def test_secrets_are_not_revealed(self, tmp_path: Path) -> None:
        """No `Secret` in the keys of the subject appears in what a plan and an apply make.

        Neither verbatim nor percent-encoded, escaped, or in base64.
        """
        with self._sandbox(tmp_path) as sandbox:
            secrets = _register_of(sandbox)
            for place, text in _made(sandbox):
                assert secrets.redact(text) == text, (
                    f"the value of a `Secret` stands in {place}: show what is made with it, a"
                    " signature or a public key, and never the value"
                )


def _register_of(sandbox: Sandbox) -> SecretRegister:
    """Return the register of all secrets in the manifests; skip the test where there is none."""
    desired, register = sandbox.desired(), SecretRegister()
    secrets = [*desired.secrets(), *option_secrets(desired)]
    if not secrets:
        skip("no key of the subject is a `Secret`")
    for secret in secrets:
        register.add(reveal(secret))
    return register


def _made(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    """Yield what plans, an apply and a change make, each with its place: `the plan`."""
    with _records() as records:
        plan = sandbox.plan()
        report, _ = sandbox.apply()
        for change in sandbox.subject.changes[:1]:
            change(sandbox.subject.upstream)
        pending = sandbox.plan()
    yield "the plan", _text_of(plan) + _text_of(pending)
    yield "the messages of the apply", failures_of(report)
    for record in records:
        yield f"a message of the log (`{record.name}`)", _message(record)
    state = sandbox.state()
    yield "the metadata of units", msgspec.json.encode(state.units).decode()
    for path, media_type, _ in state.shown:
        yield f"the path of a file of {media_type}", path
    for path, body in sandbox.pages():
        yield f"the page `{path}`", body.decode(errors="replace")
    for name, data in sandbox.files().items():
        yield f"the file `{name}` of the state", data.decode(errors="replace")


def _text_of(plan: Plan) -> str:
    return b"".join(render_json(plan, verbose=True)).decode()


def _message(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if record.exc_info else None
    return record.getMessage() + (str(error) if error else "")


@contextmanager
def _records() -> Iterator[list[logging.LogRecord]]:
    """Collect what is logged within the block, of every level, before anything is masked."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    root, handler = logging.getLogger(), Collector()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield records
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
