"""R6: a publication is sent to other indexes, and pip installs from them.

devpi has an environment of its own, which `make suite` makes: it wants other versions of packages
than the development tools.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.clients import pip_installs, served
from tests.support.mirror import Mirror, call, publication, resource
from tests.support.peer_index import devpi, lacks_devpi, pypiserver
from tests.support.requirements import skip_or_fail
from tests.support.wheels import Built, build_sdist, build_wheel

SECRET = "s3cret-of-the-index"
OWN = resource("Repository", "own", "type: python\nsources:\n  - upload: {}\n")
ACCESS = "access: {upload: [{token: {env: INDEX_SECRET}}]}\n"


def uploaded(mirror: Mirror, *files: Built) -> None:
    folder = mirror.folder / "dist"
    folder.mkdir(exist_ok=True)
    for built in files:
        (folder / built.filename).write_bytes(built.content)
    words = [str(folder / built.filename) for built in files]
    assert call(["upload", "own", *words, "--home", str(mirror.home.root)]).code == 0


def test_r6_pypiserver_devpi_and_reconciler_get_what_they_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacks_devpi():
        skip_or_fail("no devpi: `make suite` installs it")
    monkeypatch.setenv("INDEX_SECRET", SECRET)
    monkeypatch.setenv("HOME", str(tmp_path))
    other = Mirror(tmp_path / "other", OWN, publication("own", more=ACCESS))
    other.applied()
    app = build_wheel("acme-app", "1.0", requires=["acme-zlib"])
    files = app, build_sdist("acme-app", "1.0"), build_wheel("acme-zlib", "1.0")
    with ExitStack() as stack:
        peers = {
            "pypiserver": stack.enter_context(
                pypiserver(tmp_path / "pypiserver", [files[2]], takes_uploads=True)
            ),
            "devpi": stack.enter_context(devpi(tmp_path / "devpi", SECRET)),
            "ours": stack.enter_context(served(other.home.root, INDEX_SECRET=SECRET)),
        }
        (tmp_path / ".pypirc").write_text(
            f"[ours]\nrepository = {peers['ours']}own/legacy/\n"
            f"username = __token__\npassword = {SECRET}\n"
        )
        simple = {
            "pypiserver": peers["pypiserver"],
            "devpi": f"{peers['devpi']}+simple/",
            "ours": f"{peers['ours']}own/simple/",
        }
        root = peers["pypiserver"].removesuffix("simple/")
        ada = "auth: {username: ada, password: {env: INDEX_SECRET}}"
        exports = (
            "exports:\n"
            f"  - index: {{url: {root}, simple: {simple['pypiserver']}}}\n"
            f"  - index: {{url: {peers['devpi']}, simple: {simple['devpi']}, {ada}}}\n"
            "  - index: {name: ours}\n"
        )
        mirror = Mirror(tmp_path / "mirror", OWN, publication("own", more=exports))
        mirror.applied()
        uploaded(mirror, *files)
        plan = mirror.plan("--format", "json").document
        (change,) = [each for each in plan["changes"] if each["kind"] == "Publication"]
        assert [push["files"] for push in change["pushes"]] == [2, 3, 3]
        done = mirror.applied()
        assert "sent 2 files to 127.0.0.1" in done
        assert "sent 3 files to ours" in done
        pip_installs(simple["devpi"], tmp_path, "acme-app")
        assert not mirror.pending()

        changed = build_wheel("acme-late", "1.0", padding=b"x")
        (tmp_path / "pypiserver" / changed.filename).write_bytes(changed.content)
        (tmp_path / "pypiserver" / app.filename).unlink()
        uploaded(other, changed)
        uploaded(mirror, build_wheel("acme-late", "1.0"))
        done_again = mirror.apply()
        told = done_again.out + done_again.err
        assert done_again.code == 1
        assert told.count("and this publication sha256:") >= 2
        assert (tmp_path / "pypiserver" / app.filename).read_bytes() == app.content, "sent again"
        assert (tmp_path / "pypiserver" / changed.filename).read_bytes() == changed.content
        assert SECRET not in told
