"""npm itself, with the manifest of the examples: it publishes to us, and installs from us."""

from __future__ import annotations

import json
from pathlib import Path

from reconciler.plugin.testing import Upstream
from tests.support.clients import served
from tests.support.mirror import Mirror
from tests.support.npm import Npm, packument, registry, version
from tests.support.source import ROOT

PAGES = registry(
    packument(
        "left-pad",
        version("left-pad", "1.1.0"),
        version("left-pad", "1.3.0", dependencies={"@example/pad": "^1.0"}),
    ),
    packument("@example/pad", version("@example/pad", "1.0.0", bin={"pad": "index.js"})),
)


def own_package(folder: Path) -> Path:
    folder.mkdir()
    manifest = {"name": "@team/own", "version": "0.1.0", "dependencies": {"left-pad": "1"}}
    (folder / "package.json").write_text(json.dumps(manifest))
    (folder / "index.js").write_text("module.exports = 1\n")
    return folder


def test_npm_publishes_installs_deprecates_and_unpublishes(tmp_path: Path) -> None:
    text = (ROOT / "manifests/13-npm.yaml").read_text(encoding="utf-8")
    upstream = Upstream(PAGES)
    with upstream.served():
        mirror = Mirror(tmp_path, text.replace("https://npm.example.org/", upstream.url))
        mirror.applied()
        assert not mirror.pending()
    with served(mirror.home.root, NPM_TOKEN="t0ken-of-the-team") as url:
        npm = Npm(tmp_path / "npm", f"{url}npm/", "t0ken-of-the-team")
        npm.run("publish", folder=own_package(npm.folder / "own"))
        npm.run("install", "@team/own")
        lock = json.loads((npm.folder / "package-lock.json").read_text())["packages"]
        assert {path: said["version"] for path, said in lock.items() if path} == {
            "node_modules/@example/pad": "1.0.0",
            "node_modules/@team/own": "0.1.0",
            "node_modules/left-pad": "1.3.0",
        }
        assert (npm.folder / "node_modules/.bin/pad").exists()
        npm.run("deprecate", "@team/own@0.1.0", "old")
        assert "old" in npm.run("view", "@team/own", "deprecated")
        assert "held by repository:npm-mirror" in npm.run(
            "dist-tag", "add", "left-pad@1.3.0", "beta", code=1
        )
        npm.run("unpublish", "--force", "@team/own")
        assert "E404" in npm.run("view", "@team/own", code=1)
