"""`bandersnatch.conf`: a mirror, with its filter plugins."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from reconciler.plugin import Description, Draft, DraftResource
from reconciler_python.arriving.bandersnatch_lists import (
    Configuration,
    Filters,
    Selected,
    allowed,
    blocked,
)
from reconciler_python.arriving.bandersnatch_rules import (
    KNOWN,
    filter_keys,
    prerelease_projects,
)
from reconciler_python.arriving.draft_parts import (
    Remarks,
    location,
    publication,
    remote,
    repository,
)
from reconciler_python.arriving.settings_files import Settings

KIND: Final = "bandersnatch"
_NAME = "mirror"
_UPSTREAM = "upstream"
_MOST_REQUESTS = 256
_HAVE_NO_MEANING = frozenset(  # every page is there in both formats, with all that upstream said
    {
        "allow-non-https",
        "api-method",
        "cleanup",
        "cleanup_todo",
        "compare-method",
        "core-metadata",
        "delete_missing_packages",
        "digest_name",
        "download-mirror-no-fallback",
        "simple-format",
        "storage-filesystem-manage-permissions",
        "verifiers",
    }
)
_NO_EQUAL: Final = {
    "diff-append-epoch": "goes with `diff-file`",
    "diff-file": "`reconciler diff repository/mirror A B` lists what a version changed",
    "hash-index": (
        "projects are served at `simple/<project>/` alone: drop the rewrite rules of the web server"
    ),
    "json": "the old JSON pages of projects are not mirrored; simple pages are there as JSON",
    "keep-index-versions": "every version of the repository is kept: `reconciler history`",
    "keep_index_versions": "every version of the repository is kept: `reconciler history`",
    "log-config": "`RECONCILER_LOG` and `-v` set logging",
    "root_uri": "pages link to the files that are served here",
    "stop-on-error": "what fails is named, everything else goes on, the exit code is 1",
    "storage-backend": "files lie in the home (`--home`); object storage is not read",
}


def translate(description: Description, name: str = "") -> Draft:
    """Return a remote, a repository and a publication, and what takes the mirror's tree over.

    Raises Malformed with the line of what cannot be read.
    """
    settings = Settings(description, name)
    configuration = Configuration(description, settings, Filters(settings), Remarks())
    keys = _remote_keys(configuration)
    sources = _sources(configuration)
    tree = _tree(configuration)
    _finish(configuration)
    reads = [path for source in sources for path in source.get("requirements", ())]
    held = f"{_NAME}-tree"
    take_over = (
        [
            *_remotes(held, {"url": f"{tree}/"}, sources),
            repository(held, _from(sources, held), "The selection of `mirror`, out of the tree."),
        ]
        if tree is not None
        else []
    )
    return Draft(
        _NAME,
        f"Made from {name or description.path.name} of bandersnatch.",
        [
            *_remotes(_UPSTREAM, keys, sources),
            repository(_NAME, _from(sources, _UPSTREAM)),
            publication(_NAME, _NAME),
        ],
        configuration.remarks.all,
        reads,
        take_over,
        [str(tree), *reads] if tree is not None else [],
    )


def _remotes(
    name: str, keys: Mapping[str, Any], sources: Sequence[Mapping[str, Any]]
) -> list[DraftResource]:
    """Return a remote for each source: a repository names each of its remotes once."""
    return [remote(_numbered(name, number), keys) for number, _ in enumerate(sources)]


def _from(sources: Sequence[Mapping[str, Any]], remote: str) -> list[Mapping[str, Any]]:
    return [
        {"remote": {"name": _numbered(remote, number), **source}}
        for number, source in enumerate(sources)
    ]


def _numbered(name: str, number: int) -> str:
    return f"{name}-{number + 1}" if number else name


def _remote_keys(configuration: Configuration) -> dict[str, Any]:
    """Return the keys of the remote: where it is, and how it is asked."""
    settings = configuration.settings
    master = settings.take("mirror", "master")
    url = master.text.rstrip("/") + "/simple/" if master is not None else ""
    keys: dict[str, Any] = {**location(url)} if url else {"index": "pypi"}
    files = settings.take("mirror", "release-files")
    if files is not None and not files.is_true:
        keys["policy"] = "on-demand"
        text = "files come when a client asks for one, and are kept then"
        configuration.differ(files, text)
    mirror = settings.take("mirror", "download-mirror")
    if mirror is not None:
        keys["mirrors"] = [mirror.text]
        only = settings.take("mirror", "download-mirror-no-fallback")
        if only is not None and only.is_true:
            configuration.lose(only, "files that the mirror lacks come from the index")
    proxy = settings.take("mirror", "proxy")
    if proxy is not None and re.fullmatch(r"https?://[^\s@?#]+", proxy.text):
        keys["proxy"] = proxy.text
    elif proxy is not None:
        text = "a proxy is `http://host:port`, without a password"
        configuration.lose(proxy, text)
    workers = settings.take("mirror", "workers")
    if workers is not None and workers.text.isdecimal() and int(workers.text[:4]) > 0:
        keys["concurrency"] = min(int(workers.text[:4]), _MOST_REQUESTS)
    return keys | _timeouts(settings)


def _timeouts(settings: Settings) -> dict[str, Any]:
    timeouts = {}
    for name, key in (("timeout", "read"), ("global-timeout", "total")):
        option = settings.take("mirror", name)
        if option is not None and re.fullmatch(r"[1-9][0-9]{0,6}", option.text):
            timeouts[key] = f"{option.text}s"
    return {"timeouts": timeouts} if timeouts else {}


def _sources(configuration: Configuration) -> list[dict[str, Any]]:
    """Return the keys of the sources: two where a rule is for some projects only."""
    selected = allowed(configuration)
    exclude = blocked(configuration)
    keys = filter_keys(configuration)
    final = prerelease_projects(configuration)
    # its specifiers match pre-releases, too
    every = {**keys, "prereleases": "allow"} if _names_versions(selected) else keys
    some = {**keys, "prereleases": "deny"}
    if final == []:
        return [_source(selected, exclude, some)]
    if final and selected.requirements:
        configuration.remarks.lose(
            "[filter_prerelease] packages",
            "pre-releases of some projects, beside requirement files",
        )
    if not final or selected.requirements:
        return [_source(selected, exclude, every)]
    if selected.include is None:
        narrow = Selected({name: [""] for name in final}, [])
        return [_source(narrow, exclude, some), _source(selected, exclude, every)]
    parts = [
        (Selected({name: value for name, value in selected.include.items() if of(name)}, []), rule)
        for of, rule in ((final.__contains__, some), (lambda name: name not in final, every))
    ]
    return [_source(part, exclude, rule) for part, rule in parts if part.include]


def _names_versions(selected: Selected) -> bool:
    return any(any(specifiers) for specifiers in (selected.include or {}).values())


def _source(selected: Selected, exclude: list[str], keys: Mapping[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = {}
    if selected.include:
        source["include"] = [
            name + specifier
            for name, specifiers in selected.include.items()
            for specifier in dict.fromkeys(specifiers)
        ]
    elif selected.requirements:
        source["requirements"] = selected.requirements
    else:
        source["everything"] = True
    if exclude:
        source["exclude"] = exclude
    return {**source, "filter": dict(keys)} if keys else source


def _tree(configuration: Configuration) -> Path | None:
    """Return the folder that bandersnatch has written, if it is on this machine."""
    directory = configuration.settings.take("mirror", "directory")
    if directory is None:
        return None
    web = configuration.description.path.parent / directory.text / "web"
    if web.is_dir():
        return web.resolve()
    text = f"`{web}` is not on this machine: nothing is taken over from it"
    configuration.lose(directory, text)
    return None


def _finish(configuration: Configuration) -> None:
    """Remark on what is left: plugins and options without an equal."""
    for plugin in configuration.filters.unknown(KNOWN):
        configuration.remarks.lose(
            f"[plugins] {plugin}", "a plugin of others; its rule is not known here"
        )
    for option in configuration.settings.rest():
        if option.section == "mirror" and option.name in _HAVE_NO_MEANING:
            continue
        if option.section == "mirror" and option.text.lower() in ("", "false", "filesystem", "0"):
            continue
        known = _NO_EQUAL.get(option.name) if option.section == "mirror" else None
        text = known or "not known here, or of a plugin that is not enabled"
        configuration.lose(option, text)
