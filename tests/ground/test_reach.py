"""The reach of manifests: the one rule, over any paths, links, names and hosts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.reach import Limits, OutOfReach, Reach, Use, is_below, is_git_data, manifest_root

STEPS = st.sampled_from(["in", "out", "link-in", "link-out", "link-up", "..", ".", ".git", "none"])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout `root` beside a folder `out`, with links in every direction."""
    base = tmp_path_factory.mktemp("tree").resolve()
    for folder in ("root/.git", "root/in/in", "out/in"):
        (base / folder).mkdir(parents=True)
    for folder in ("root", "root/in", "out"):
        (base / folder / "link-in").symlink_to(base / "root/in")
        (base / folder / "link-out").symlink_to(base / "out")
        (base / folder / "link-up").symlink_to("..")
    return base


def allowed(reach: Reach, path: str, use: Use = Use.CONTENT) -> str | None:
    try:
        return reach.file(path, use)
    except OutOfReach:
        return None


@given(steps=st.lists(STEPS, max_size=6))
def test_no_path_leads_out_of_the_root_whatever_links_are_on_the_way(
    tree: Path, steps: list[str]
) -> None:
    root, path = str(tree / "root"), os.path.join(str(tree / "root"), *steps)
    real = os.path.realpath(path)
    inside = is_below(real, root) and ".git" not in real.removeprefix(root).split("/")
    assert allowed(Reach(root), path) == (real if inside else None)
    assert allowed(Reach(root, Limits(paths=(str(tree),))), path) == (
        real if is_below(real, str(tree)) and ".git" not in real.split("/") else None
    )


@given(steps=st.lists(STEPS, max_size=6))
def test_a_root_is_never_where_a_link_of_the_work_tree_leads(tree: Path, steps: list[str]) -> None:
    """Kind: `validate manifests/`, after `manifests` was made a link."""
    path = os.path.join(str(tree / "root"), *(step for step in steps if step != ".."))
    if not is_below(os.path.realpath(path), str(tree / "out")):
        return
    assert manifest_root(path) == str(tree / "root")


def test_a_root_is_the_work_tree_else_the_folder_that_was_given(tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "m.yaml").touch()
    (tmp_path / "link").symlink_to(folder)
    assert manifest_root(str(folder)) == manifest_root(str(folder / "m.yaml")) == str(folder)
    assert manifest_root(str(tmp_path / "link")) == str(folder)
    (folder.parent / ".git").write_text("gitdir: elsewhere")
    assert manifest_root(str(folder)) == str(folder.parent)
    outside = tmp_path / "secret.yaml"
    outside.touch()
    (folder / "n.yaml").symlink_to(outside)
    assert manifest_root(str(folder / "n.yaml")) == str(folder.parent)


@pytest.mark.parametrize(
    "step",
    [
        ".git",
        ".GIT",
        ".Git ",
        ".git.",
        ".git . .",
        "GIT~1",
        ".git::$INDEX_ALLOCATION",
        ".g\u200cit",
    ],
)
def test_git_data_in_every_spelling_that_a_file_system_takes_for_it(
    tmp_path: Path, step: str
) -> None:
    """Kind: a rule for a name that one file system spells in one way."""
    for path in (f"a/{step}/config", f"a\\{step}\\config", step):
        assert is_git_data(path), path
    root = str(tmp_path.resolve())
    with pytest.raises(OutOfReach, match="which manifests never read"):
        Reach(root).file(f"{root}/{step}/config")


@pytest.mark.parametrize("step", [".github", ".gitignore", "git", "a.git", ".git-a", "git~10"])
def test_names_that_only_resemble_git_data_are_read(step: str) -> None:
    assert not is_git_data(f"/srv/{step}/x")


def test_folders_of_the_system_are_read_for_their_use_only() -> None:
    reach = Reach("/srv/manifests")
    for use, path in [
        (Use.SECRET, "/run/secrets/token"),
        (Use.SECRET, "/var/run/secrets/kubernetes.io/token"),
        (Use.TRUST, "/etc/ssl/certs/ca-certificates.crt"),
        (Use.TRUST, "/etc/pki/tls/cert.pem"),
        (Use.TRUST, "/usr/local/share/ca-certificates/house.crt"),
    ]:
        assert allowed(reach, path, use)
        assert not allowed(reach, path)
    assert not allowed(reach, "/etc/ssl/../passwd", Use.TRUST)
    assert not allowed(reach, "/run/secrets/../../etc/passwd", Use.SECRET)


def test_the_hint_is_the_line_to_add() -> None:
    with pytest.raises(OutOfReach) as refused:
        Reach("/srv/manifests").file("/etc/hosts")
    assert refused.value.hint == (
        "to allow it: `RECONCILER_ALLOW_PATHS=/etc/hosts`, or `--allow-path /etc/hosts`"
    )
    limits = Limits.of({"RECONCILER_ALLOW_PATHS": "/etc/hosts:/opt"}, ["/media"])
    reach = Reach("/srv/manifests", limits)
    assert [allowed(reach, path) for path in ("/etc/hosts", "/opt/a", "/media/b", "/etc")] == [
        "/etc/hosts",
        "/opt/a",
        "/media/b",
        None,
    ]


@pytest.mark.parametrize(
    ("setting", "name", "allows"),
    [
        (None, "DEPLOY_TOKEN", True),
        ("", "DEPLOY_TOKEN", False),
        ("INDEX_*", "DEPLOY_TOKEN", False),
        ("INDEX_*, DEPLOY_?OKEN", "DEPLOY_TOKEN", True),
        ("INDEX_* CI_TOKEN", "INDEX_PASSWORD", True),
        ("index_*", "INDEX_PASSWORD", False),
    ],
)
def test_which_variables_manifests_may_refer_to(
    setting: str | None, name: str, allows: bool
) -> None:
    environment = {} if setting is None else {"RECONCILER_SECRET_NAMES": setting}
    reach = Reach("/srv", Limits.of(environment))
    if allows:
        reach.secret_variable(name)
    else:
        with pytest.raises(OutOfReach, match=f"`{name}`"):
            reach.secret_variable(name)


@pytest.mark.parametrize("glob", ["/run/secrets/index", "index", "/run/secrets/*"])
def test_which_secret_files_manifests_may_refer_to(glob: str) -> None:
    reach = Reach("/srv", Limits(secret_names=(glob,)))
    assert reach.secret_file("/run/secrets/index")
    with pytest.raises(OutOfReach):
        reach.secret_file("/srv/secrets/index-of-others")


@pytest.mark.parametrize(
    ("hosts", "host", "port", "allows"),
    [
        (None, "evil.example.org", None, True),
        (("*.example.com",), "evil.example.org", None, False),
        (("*.example.com",), "Index.Example.com", 8443, True),
        (("index.example.com:443",), "index.example.com", 8443, False),
        ((), "index.example.com", None, False),
    ],
)
def test_where_secrets_may_go(
    hosts: tuple[str, ...] | None, host: str, port: int | None, allows: bool
) -> None:
    assert Limits(secret_hosts=hosts).allows_host(host, port) is allows


def test_variables_in_files_beside_the_manifests_need_a_setting_in_ci() -> None:
    """Their values would become names that upstream is asked for."""
    with pytest.raises(OutOfReach, match="while `CI` is set"):
        Reach("/srv", Limits.of({"CI": "true"})).plain_variable("DEPLOY_TOKEN")
    Reach("/srv", Limits.of({"CI": "1", "RECONCILER_SECRET_NAMES": "V_*"})).plain_variable("V_1")
    Reach("/srv", Limits.of({"CI": "false"})).plain_variable("V_1")


@pytest.mark.parametrize("name", [".git", ".GIT", ".Git"])
def test_git_data_is_refused_in_any_spelling(name: str) -> None:
    """Kind: a file system that ignores case opens `.git` under another name."""
    with pytest.raises(OutOfReach, match="manifests never read"):
        Reach("/srv").file(f"/srv/{name}/config")


def test_a_git_folder_of_another_user_makes_no_root(tmp_path: Path) -> None:
    """Kind: a `.git` in a folder that all users may write to."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    folder = tmp_path.resolve() / "work"
    folder.mkdir()
    (tmp_path / ".git").mkdir()
    os.chown(tmp_path / ".git", 12345, 12345)
    assert manifest_root(str(folder)) == str(folder)
