"""Signatures of a Release by gpg, with a key that a manifest refers to.

gpg gets a home of its own below the system's temporary folder, which is removed with the key in it;
the path of that home is short, for the sockets of gpg's agent.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import msgspec

from reconciler.plugin import Malformed, Refused, sanitize

Form = Literal["clearsigned", "detached"]

_SECONDS: Final = 60
_LONGEST_HOME: Final = 80  # characters: a socket's path has at most 107
_FORMS: Final[dict[Form, Sequence[str]]] = {
    "clearsigned": ("--clearsign",),
    "detached": ("--armor", "--detach-sign"),
}
_UNUSABLE: Final = {"e": "has expired", "r": "was revoked", "d": "is disabled"}


class KeyFacts(msgspec.Struct, frozen=True):
    """Facts of a secret key. `made`: when it was made; `owner`: its first user."""

    fingerprint: str
    made: datetime
    owner: str


class SigningKey:
    """A secret key, armoured. `passphrase`: empty for a key that has none."""

    def __init__(self, text: str, passphrase: str = "") -> None:
        self._text = text
        self._passphrase = passphrase

    @cached_property
    def facts(self) -> KeyFacts:
        """Fingerprint and age of the key.

        Raises Malformed for what is no single secret key, Refused for one that has expired or was
        revoked.
        """
        with _gpg_home() as home:
            show = ("--no-autostart", "--with-colons", "--import-options", "show-only", "--import")
            return key_facts(_gpg(home, *show, text=self._text.encode()).decode(errors="replace"))

    def sign(self, text: bytes, form: Form, moment: datetime) -> bytes:
        """Return the signed text, or the signature apart from it. Raises Refused."""
        made_at = max(moment, self.facts.made).astimezone(UTC)
        with _gpg_home() as home:
            _gpg(home, "--import", text=self._text.encode())
            (home / "text").write_bytes(text)
            return _gpg(
                home,
                *("--faked-system-time", f"{made_at:%Y%m%dT%H%M%S}!"),
                *("--pinentry-mode", "loopback", "--passphrase-fd", "0"),
                *("--local-user", self.facts.fingerprint, "--digest-algo", "SHA512"),
                *(*_FORMS[form], "--output", "-", str(home / "text")),
                text=self._passphrase.encode(),
            )


class ReleaseSigner:
    """Signs Releases with one key, in one form."""

    def __init__(self, key: SigningKey, form: Form) -> None:
        self._key = key
        self._form: Form = form

    @property
    def identity(self) -> str:
        """Fingerprint and form, by which it is known whether a signature exists."""
        return f"{self._key.facts.fingerprint} {self._form}"

    def sign(self, text: bytes, moment: datetime) -> bytes:
        """Return the signed text, or the signature apart from it."""
        return self._key.sign(text, self._form, moment)


def key_facts(listing: str) -> KeyFacts:
    """Return the facts of the one secret key that gpg lists (`--with-colons`)."""
    rows = [line.split(":") for line in listing.splitlines()]
    keys = [row for row in rows if row[0] == "sec" and len(row) > 11]
    if len(keys) != 1:
        raise Malformed(
            f"the signing key holds {len(keys) or 'no'} secret keys, and one signs",
            hint="`gpg --armor --export-secret-keys FINGERPRINT` writes one",
        )
    [key] = keys
    fingerprint = next((row[9] for row in rows if row[0] == "fpr" and len(row) > 9), "")
    owner = next((sanitize(row[9], 100) for row in rows if row[0] == "uid" and len(row) > 9), "")
    shown = f"`{fingerprint}` {owner}".strip()
    if key[1] in _UNUSABLE:
        raise Refused(
            f"the signing key {shown} {_UNUSABLE[key[1]]}",
            hint="sign with another key, and give clients its public part first",
        )
    if "S" not in key[11] or not key[5].isdigit():
        raise Refused(f"the signing key {shown} cannot sign")
    return KeyFacts(fingerprint, datetime.fromtimestamp(int(key[5]), UTC), owner)


@contextmanager
def _gpg_home() -> Iterator[Path]:
    """A home of gpg for the length of the block."""
    parent = tempfile.gettempdir() if len(tempfile.gettempdir()) < _LONGEST_HOME - 16 else "/tmp"  # noqa: S108  # the folder itself is private
    folder = Path(tempfile.mkdtemp(prefix="gpg-", dir=parent))
    try:
        yield folder
    finally:
        _stop_agent(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _stop_agent(home: Path) -> None:
    """End the agent that gpg has started for a home; it would end by itself, later."""
    program = shutil.which("gpgconf")
    if program is not None and (home / "S.gpg-agent").exists():
        command = [program, "--homedir", str(home), "--kill", "gpg-agent"]
        subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)


def _gpg(home: Path, *words: str, text: bytes) -> bytes:
    """Return what gpg puts out. Raises Refused where it fails."""
    program = shutil.which("gpg")
    if program is None:
        raise Refused(
            "gpg is not installed, and nothing else signs a Release",
            hint="install the package `gnupg`, or leave `signing` out",
        )
    command = [program, "--homedir", str(home), "--batch", "--yes", "--quiet", "--no-tty", *words]
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"gpg did not end within {_SECONDS} seconds") from None
    if done.returncode != 0:
        said = sanitize(done.stderr.decode(errors="replace").strip().rpartition("\n")[2], 300)
        raise Refused(f"gpg cannot use the signing key: {said}")
    return done.stdout
