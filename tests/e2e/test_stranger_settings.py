"""Settings and secrets beside the manifests of a stranger, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mirror import Done, call

MANIFEST = """\
apiVersion: reconciler/v1
kind: Remote
metadata: {name: it}
spec:
  type: python
  url: https://evil.example.net/simple/
  auth: {username: u, password: {env: DEPLOY_TOKEN}}
"""
CODE = "from pathlib import Path\nPath('ran').touch()\n"
SETTINGS = "plugin_directory = 'plugins'\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with manifests, settings and a plugin, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    Path(".git").mkdir()
    Path("manifests").mkdir()
    Path("manifests", "m.yaml").write_text(MANIFEST)
    plugin = Path("plugins", "importers", "evil", "importer.py")
    plugin.parent.mkdir(parents=True)
    plugin.write_text(CODE)
    return tmp_path


WORDS = (["validate"], ["plan", "--offline"])
PLACES: tuple[list[str], ...] = (["."], ["manifests"], [])


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("ci", [True, False])
def test_settings_of_a_checkout_run_no_code(
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    places: list[str],
    *,
    ci: bool,
) -> None:
    """Kind: files beside the manifests configure the process that judges them."""
    Path("reconciler.toml").write_text(SETTINGS)
    if ci:
        monkeypatch.setenv("CI", "true")
    done = call([*words, *places])
    assert not Path("ran").exists()
    read = places == ["manifests"] and not ci  # it lies outside of the paths, and below the root
    assert done.code == (1 if read else 0), done.err
    said = "is not taken from" if read else "`reconciler.toml` is not read: "
    assert said in done.err


@pytest.mark.parametrize("places", PLACES)
def test_explain_reads_manifests_and_so_no_settings_beside_them(
    checkout: Path, places: list[str]
) -> None:
    """Kind: a command whose manifests stand among other words."""
    Path("reconciler.toml").write_text(SETTINGS)
    done = call(["explain", "team", "six", *places])
    assert done.code == 1
    assert not Path("ran").exists()
    assert "is not taken from" in done.err or "`reconciler.toml` is not read: " in done.err


def test_a_link_to_settings_elsewhere_lies_among_the_manifests(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("settings") / "any.toml"
    elsewhere.write_text("[plugins.nobody]\na = 1\n")
    Path("reconciler.toml").symlink_to(elsewhere)
    done = call(["validate"])
    assert done.code == 0
    assert "`reconciler.toml` is not read: it lies among the manifests" in done.err


@pytest.mark.parametrize("setting", ["plugin_directory", "home", "database"])
def test_a_named_file_below_the_root_moves_no_folder(checkout: Path, setting: str) -> None:
    Path("mine.toml").write_text(f"{setting} = 'plugins'\n")
    done = call(["plan", "manifests", "--config", "mine.toml"])
    assert done.code == 1
    assert f"`{setting}` is not taken from `mine.toml`" in done.err
    assert not Path("ran").exists()


def test_a_named_file_may_configure_plugins_and_one_elsewhere_anything(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    Path("mine.toml").write_text("[plugins.nobody]\na = 1\n")
    done = call(["validate", "--config", "mine.toml"])
    assert done.code == 0
    assert "`mine.toml` configures `nobody`" in done.err
    elsewhere = tmp_path_factory.mktemp("settings") / "any.toml"
    elsewhere.write_text(SETTINGS)
    monkeypatch.setenv("RECONCILER_CONFIG", str(elsewhere))
    call(["validate"])
    assert Path("ran").exists(), "the operator's own settings are trusted"


def test_configuration_files_of_plugins_are_the_checkout_s_as_well(checkout: Path) -> None:
    Path("plugins.d").mkdir()
    Path("plugins.d", "python.conf").write_text('{"substitution": "allow"')
    done = call(["validate"])
    assert done.code == 0
    assert "`plugins.d` is not read: it lies among the manifests" in done.err


def test_a_missing_settings_file_is_said(checkout: Path) -> None:
    done = call(["validate", "--config", "nowhere.toml"])
    assert done.err.startswith("error: the settings file `nowhere.toml` does not exist")


def test_content_of_settings_that_cannot_be_parsed_is_not_echoed(checkout: Path) -> None:
    Path("s").write_text("k3y = 1\nk3y-in-a-file\n")
    done = call(["validate", "--config", "s"])
    assert done.code == 1
    assert "k3y" not in done.err
    assert "line 3" in done.err or "line 2" in done.err


def planned(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Done:
    for name, value in {"DEPLOY_TOKEN": "k3y", **variables}.items():
        monkeypatch.setenv(name, value)
    return call(["plan", "manifests", "--offline"])


def test_a_plan_in_ci_names_each_secret_and_its_host(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: a secret of the CI system beside the URL of a stranger."""
    assert "secrets" not in planned(monkeypatch).err
    done = planned(monkeypatch, CI="true")
    assert done.code == 0
    assert (
        "these manifests send secrets of this CI run: `env DEPLOY_TOKEN` to `evil.exam" in done.err
    )
    done = planned(monkeypatch, RECONCILER_SECRET_HOSTS="*.example.org")
    assert done.code == 1
    assert "must not be sent to `evil.example.net`" in done.err


def test_a_path_is_allowed_by_the_line_that_the_error_prints(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("files")
    Path("manifests", "m.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Remote\nmetadata: {name: it}\n"
        f"spec: {{type: file, url: {elsewhere}/}}\n"
    )
    refused = call(["validate"])
    assert refused.code == 1
    option = refused.err.rpartition("or `")[2].partition("`")[0]
    assert call(["validate", *option.split()]).code == 0
