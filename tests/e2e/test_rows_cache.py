"""R9: pip and uv install through a publication that takes what it lacks from an index."""

from __future__ import annotations

from pathlib import Path

from tests.support.clients import pip_installs, served, uv_installs
from tests.support.mirror import Mirror, publication, remote, resource
from tests.support.pulling import upstream
from tests.support.wheels import build_wheel


def test_r9_pip_and_uv_install_what_was_never_mirrored_and_again_without_upstream(
    tmp_path: Path,
) -> None:
    app, zlib = (
        build_wheel("acme-app", "1.0", requires=["acme-zlib"]),
        build_wheel("acme-zlib", "1.0"),
    )
    with upstream(app, zlib) as index:
        mirror = Mirror(
            tmp_path / "mirror",
            remote(index.url),
            resource("Repository", "team", "type: python"),
            publication(more="pullThrough: {remote: up}"),
        )
        mirror.applied()
        with served(mirror.home.root) as url:
            pip_installs(f"{url}team/simple/", tmp_path, "acme-app")
            assert sorted(index.asked) == sorted(set(index.asked)), "each thing once"
            asked = list(index.asked)
            index.fails = 503
            uv_installs(f"{url}team/simple/", tmp_path, "acme-app")
        assert index.asked == asked
    assert mirror.filenames() == [app.filename, zlib.filename], "committed when the server stopped"
    assert not mirror.pending()
