"""Find manifest files below paths, and read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from reconciler.errors import Fault, Origin, UsageFault
from reconciler.manifest.document import ManifestText
from reconciler.reach import Limits, OutOfReach, Reach, is_stream, manifest_root

MAX_BYTES = 32 * 2**20
STDIN = "<stdin>"
SUFFIXES = (".yaml", ".yml")


def texts(
    paths: Sequence[Path | str],
    stdin: Callable[[], bytes] | None,
    limits: Limits,
    *,
    faults: list[Fault],
) -> Iterator[ManifestText]:
    """Yield every manifest below `paths`, each file once.

    Order: as given, and by name within folders. Adds to `faults` what cannot be read, and what
    `limits` do not let be read.
    """
    seen: set[tuple[int, int]] = set()
    for path in [os.fspath(path) for path in paths]:
        if path == "-":
            body = _standard_input(stdin)
            here = os.getcwd()
            yield from _decoded(STDIN, here, body, reach=Reach(here, limits), faults=faults)
            continue
        reach = _reach(path, limits)
        for file in _files(path, faults):
            if (content := _body(file, seen, reach, faults=faults)) is not None:
                folder = os.path.dirname(os.path.abspath(file))
                yield from _decoded(file, folder, content, reach=reach, faults=faults)


def _reach(path: str, limits: Limits) -> Reach:
    """Return what the manifests at an argument may reach. Of a pipe: what standard input may."""
    try:
        return Reach(os.getcwd() if is_stream(path) else manifest_root(path), limits)
    except ValueError:  # a NUL in the path
        return Reach(os.getcwd(), limits)


def _standard_input(stdin: Callable[[], bytes] | None) -> bytes:
    if stdin is None:
        raise UsageFault("`-` reads manifests from standard input, and there is none here")
    return stdin()


def _files(path: str, faults: list[Fault]) -> Iterator[str]:
    """Yield `path`, or the manifests below it; skip hidden names and other suffixes."""
    try:
        entries = (
            sorted(os.scandir(path), key=lambda entry: entry.name) if os.path.isdir(path) else None
        )
    except OSError as error:
        faults.append(_unreadable(path, error))
        return
    if entries is None:
        yield path
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, faults)
        elif entry.name.endswith(SUFFIXES):
            yield from _regular(entry, faults)


def _regular(entry: os.DirEntry[str], faults: list[Fault]) -> Iterator[str]:
    """Yield a regular file; a pipe would block, and a link to a folder could form a loop."""
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        faults.append(_unreadable(entry.path, error))
        return
    if stat.S_ISREG(mode):
        yield entry.path
    else:
        faults.append(
            Fault(
                Origin(entry.path, 0),
                "not a regular file",
                "name it as an argument if it is meant to be read",
            )
        )


def _body(
    file: str, seen: set[tuple[int, int]], reach: Reach, *, faults: list[Fault]
) -> bytes | None:
    try:
        if not is_stream(file):
            reach.file(os.path.abspath(file))
        with open(file, "rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            if (status.st_dev, status.st_ino) in seen:
                return None
            seen.add((status.st_dev, status.st_ino))
            return _limited(stream.read, status.st_size)
    except OutOfReach as error:
        faults.append(Fault(Origin(file, 0), error.message, error.hint))
        return None
    except OSError as error:
        faults.append(_unreadable(file, error))
        return None
    except ValueError:  # a NUL in the path
        faults.append(
            Fault(Origin(file.replace("\0", "\\0"), 0), "cannot be read: not a possible path")
        )
        return None


def _limited(read: Callable[[int], bytes | None], size: int) -> bytes:
    """Read at most one byte more than is allowed, also from a device that never ends."""
    parts: list[bytes] = []
    left = MAX_BYTES + 1
    while left > 0 and (part := read(min(left, max(size + 1, 65_536)))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _decoded(
    name: str, folder: str, body: bytes, *, reach: Reach, faults: list[Fault]
) -> Iterator[ManifestText]:
    if len(body) > MAX_BYTES:
        faults.append(
            Fault(
                Origin(name, 0),
                f"larger than {MAX_BYTES // 2**20} MiB",
                "split it into several files",
            )
        )
        return
    try:
        yield ManifestText(name, folder, body.decode("utf-8-sig"), reach)
    except UnicodeDecodeError as error:
        before = body[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        origin = Origin(name, before.count(b"\n") + 1, column)
        faults.append(
            Fault(
                origin,
                f"not UTF-8: the byte 0x{body[error.start]:02x} cannot stand here",
                "save the file as UTF-8",
            )
        )


def _unreadable(path: str, error: OSError) -> Fault:
    return Fault(Origin(path, 0), f"cannot be read: {error.strerror or type(error).__name__}")
