"""The reach of manifests: files, secrets, and the hosts that secrets go to.

Manifests may come from a stranger's pull request, while the process that reads them holds secrets
of its own. This is the one place of the rule: code that reads a path, a variable or a secret that a
manifest names asks `Reach` first. Settings come from flags and the environment, never from a file
below a manifest root.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from shlex import quote

from reconciler.errors import UsageFault

ALLOW_PATHS = "RECONCILER_ALLOW_PATHS"
SECRET_NAMES = "RECONCILER_SECRET_NAMES"  # noqa: S105  # the name of a setting
SECRET_HOSTS = "RECONCILER_SECRET_HOSTS"  # noqa: S105  # the name of a setting
CI = "CI"
GIT = ".git"  # holds credentials of the checkout, and hooks: no content

_GIT_BY_SHORT_NAME = "git~1"
_BETWEEN_STEPS = re.compile(r"[/\\]")
_IGNORED_BY_HFS = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
_SECRETS = ("/run/secrets", "/var/run/secrets")
_CERTIFICATES = ("/etc/ssl", "/etc/pki", "/usr/local/share/ca-certificates")
_SEPARATORS = re.compile(r"[,\s]+")


class Use(Enum):
    """Purpose that a path is read for; each has folders of the system that need no setting."""

    CONTENT = "content"
    SECRET = "secret"  # noqa: S105  # a purpose
    TRUST = "trust"
    CERTIFICATE = "certificate"


_SYSTEM: Mapping[Use, tuple[str, ...]] = {
    Use.SECRET: _SECRETS,
    Use.TRUST: _CERTIFICATES,
    Use.CERTIFICATE: (*_SECRETS, *_CERTIFICATES),
}


class OutOfReach(UsageFault):
    """A manifest names what it may not reach; the hint tells the setting that would allow it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings about what manifests may reach.

    `paths`: further files and folders, absolute. `secret_names`, `secret_hosts`: globs, or None
    where nothing bounds them. `unattended`: True where `CI` is set.
    """

    paths: tuple[str, ...] = ()
    secret_names: tuple[str, ...] | None = None
    secret_hosts: tuple[str, ...] | None = None
    unattended: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str], paths: Iterable[str] = ()) -> Limits:
        """Return the limits that the environment sets. `paths`: of `--allow-path`."""
        named = [*environment.get(ALLOW_PATHS, "").split(os.pathsep), *paths]
        return cls(
            tuple(os.path.realpath(os.path.expanduser(path)) for path in named if path),
            _globs(environment.get(SECRET_NAMES)),
            _globs(environment.get(SECRET_HOSTS)),
            is_unattended(environment),
        )

    @property
    def bounds_secrets(self) -> bool:
        """True where a setting says which secrets may be used, or where they may go."""
        return self.secret_names is not None or self.secret_hosts is not None

    def allows_host(self, host: str, port: int | None) -> bool:
        """Return True if secrets may go to a host. A glob may name a port as well."""
        names = (host.lower(), f"{host.lower()}:{port}")
        return self.secret_hosts is None or any(
            fnmatchcase(name, glob.lower()) for glob in self.secret_hosts for name in names
        )


@dataclass(frozen=True, slots=True)
class Reach:
    """The reach of one manifest. `root`: its manifest root, absolute, without links."""

    root: str
    limits: Limits = field(default=Limits())

    def file(self, path: str, use: Use = Use.CONTENT) -> str:
        """Return the real path of an absolute one, links followed. Raises OutOfReach.

        The same answer whether anything is there or not.
        """
        real = os.path.realpath(path)
        if is_git_data(real):
            raise OutOfReach(
                f"`{path}` lies in `{GIT}`, which manifests never read",
                hint="copy what is needed beside the manifests",
            )
        system = any(is_below(os.path.normpath(path), folder) for folder in _SYSTEM.get(use, ()))
        if not system and not any(is_below(real, folder) for folder in self._folders()):
            raise OutOfReach(
                f"{_described(path, real)} lies outside of the manifest root `{self.root}`",
                hint=f"to allow it: `{ALLOW_PATHS}={quote(real)}`, or `--allow-path {quote(real)}`",
            )
        return real

    def export(self, path: str) -> None:
        """Check a folder that is written to: anywhere, but not where a link of ours leads out.

        Its path is in plain sight of the reviewer of the manifest; where a link leads is not.
        Raises OutOfReach.
        """
        for link, target in links(os.path.dirname(path)):
            if is_below(os.path.dirname(link), self.root):
                self.file(target)

    def secret_variable(self, name: str) -> None:
        """Check that manifests may refer to an environment variable. Raises OutOfReach."""
        self._check_secret(f"the environment variable `{name}`", (name,))

    def secret_file(self, path: str) -> str:
        """Return the real path of a secret file, as `file` does. Raises OutOfReach."""
        real = self.file(path, Use.SECRET)
        plain = os.path.normpath(path)
        names = [real, plain]
        names += [
            os.path.relpath(name, folder)
            for name in (real, plain)
            for folder in (self.root, *_SECRETS)
            if is_below(name, folder)
        ]
        self._check_secret(f"the secret file `{path}`", names)
        return real

    def plain_variable(self, name: str) -> None:
        """Check that a file beside the manifests may hold the value of a variable: `${NAME}`.

        Such a value goes into names that upstream is asked for, so that unattended runs need a
        setting. Raises OutOfReach.
        """
        if self.limits.unattended and self.limits.secret_names is None:
            raise OutOfReach(
                f"the environment variable `{name}` is not read for a file while `{CI}` is set",
                hint=f"to allow it: `{SECRET_NAMES}={name}`",
            )
        self.secret_variable(name)

    def _check_secret(self, what: str, names: Iterable[str]) -> None:
        globs = self.limits.secret_names
        names = list(names)
        if globs is not None and not any(
            fnmatchcase(name, glob) for name in names for glob in globs
        ):
            raise OutOfReach(
                f"{what} is not among the secrets that manifests may refer to",
                hint=f"`{SECRET_NAMES}` lists them; to allow it, add `{names[0]}`",
            )

    def _folders(self) -> Iterable[str]:
        return (self.root, *self.limits.paths)


def is_unattended(environment: Mapping[str, str]) -> bool:
    """Return True where a CI system runs this process: it says so with `CI`."""
    return environment.get(CI, "").lower() not in ("", "0", "false")


def is_below(path: str, folder: str) -> bool:
    """Return True if a path is a folder or lies below it; both absolute and normalised."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_git_data(path: str) -> bool:
    """Return True if a path lies in a `.git`, in any spelling that a file system may take for it.

    The spellings are those that git itself refuses to check out: other case, characters that HFS+
    ignores, and what NTFS adds (blanks and dots at the end, streams, the short name).
    """
    return any(_is_git(step) for step in _BETWEEN_STEPS.split(path))


def _is_git(step: str) -> bool:
    name = step.translate(_IGNORED_BY_HFS).casefold().partition(":")[0].rstrip(" .")
    return name in (GIT, _GIT_BY_SHORT_NAME)


def manifest_root(path: str) -> str:
    """Return the root of the manifests at a path that was given as an argument.

    It is the git work tree that holds them, else the folder that was given, without links. A link
    that a work tree holds does not lead out of it: then the work tree is the root.
    """
    for link, target in links(os.path.abspath(path)):
        folder = os.path.dirname(link)
        holder = work_tree(folder)
        if holder is not None and not is_below(target, holder):
            return holder
        if holder is None and not os.path.isdir(target):
            return folder  # a link to a file: its folder was given
    real = os.path.realpath(path)
    folder = real if os.path.isdir(real) else os.path.dirname(real)
    return work_tree(folder) or folder


def work_tree(folder: str) -> str | None:
    """Return the git work tree that holds a folder, or None.

    A `.git` that another user has put into a folder above, such as `/tmp`, makes none.
    """
    owners = {os.geteuid(), 0, *_owner(folder)}
    while True:
        if owners.issuperset(_owner(os.path.join(folder, GIT)) or {-1}):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def is_stream(path: str) -> bool:
    """Return True for a pipe or device: its bytes are given by the user who runs the command."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def links(path: str) -> Iterator[tuple[str, str]]:
    """Yield every link on the way to an absolute path, and where it leads, without links."""
    real = "/"
    for part in _steps(path):
        step = os.path.join(real, part)
        if os.path.islink(step):
            target = os.path.realpath(step)
            yield step, target
            step = target
        real = step


def _owner(path: str) -> set[int]:
    try:
        return {os.lstat(path).st_uid}
    except OSError:
        return set()


def _globs(text: str | None) -> tuple[str, ...] | None:
    """Return the globs of a setting, None where it is not set; an empty one allows nothing."""
    return None if text is None else tuple(glob for glob in _SEPARATORS.split(text) if glob)


def _steps(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _described(path: str, real: str) -> str:
    return f"`{path}`" if real == os.path.normpath(path) else f"`{path}`, which is `{real}`,"
