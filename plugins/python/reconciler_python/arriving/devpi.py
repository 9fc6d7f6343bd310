"""The export of a devpi server: indexes, their bases, and files that were uploaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from reconciler.plugin import Description, Draft, DraftResource, Malformed, sanitize
from reconciler_python.arriving.draft_parts import (
    Remarks,
    location,
    password,
    publication,
    remote,
    repository,
    resource_name,
)
from reconciler_python.arriving.json_documents import decode, text, texts
from reconciler_python.reading.filenames import project_name

KIND: Final = "devpi"
FILE: Final = "dataindex.json"
_ANYBODY = ":ANONYMOUS:"
_HAVE_NO_MEANING = frozenset(
    {
        "acl_toxresult_upload",
        "mirror_cache_expiry",
        "mirror_ignore_serial_header",
        "mirror_web_url_fmt",
        "type",
        "volatile",
    }
)
_TRANSLATED = frozenset(
    {"acl_upload", "bases", "mirror_url", "mirror_use_external_urls", "mirror_whitelist"}
)
_INDEX_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_ASKED_FOR: Final = (
    "it asks upstream when a client does. The Remote is here; write a repository whose `remote`"
    " source names in `include` what you need, or says `everything: true`"
)
_NO_EQUAL: Final = {
    "custom_data": "notes about an index; `metadata.annotations` takes some",
    "mirror_no_project_list": "named projects (`include`) need no list",
    "mirror_whitelist_inheritance": "each repository says for itself what its sources may share",
    "title": "a publication has no title",
}


class _File(msgspec.Struct):
    relpath: str = ""
    type: str = ""


class _Index(msgspec.Struct):
    indexconfig: dict[str, Any]
    projects: dict[str, msgspec.Raw] | None = None
    files: list[_File] = []


class _Export(msgspec.Struct):
    indexes: dict[str, _Index]


def translate(description: Description, name: str = FILE) -> Draft:
    """Return a repository and a publication for each index. Raises Malformed."""
    export = decode(description, name, _Export)
    names: dict[str, str] = {}
    for index in export.indexes:
        if not _INDEX_NAME.fullmatch(index):
            raise Malformed(f"{description.place(name)}: `{sanitize(index, 80)}` is no index")
        names[index] = resource_name(index.replace("/", "-"), list(names.values()))
    reader = _Reader(description, export, names)
    resources = [
        resource
        for index, content in export.indexes.items()
        for resource in reader.index(index, content)
    ]
    return Draft(
        "devpi", f"Made from {FILE} of devpi.", resources, reader.remarks.all, reader.reads
    )


def _held(index: _Index) -> list[str]:
    """Return the projects that an export holds of an index."""
    return sorted(filter(None, map(project_name, index.projects or {})))


class _Reader:
    """Reads indexes. `names`: of repositories, by the name of the index."""

    def __init__(self, description: Description, export: _Export, names: Mapping[str, str]) -> None:
        self._export = export
        self._folder = (
            description.path if description.is_folder else description.path.parent
        ).resolve()
        self._names = names
        self.remarks = Remarks()
        self.reads: list[str] = []

    def index(self, index: str, content: _Index) -> list[DraftResource]:
        """Return the resources of an index."""
        config = content.indexconfig
        kind = text(config.get("type"))
        if kind == "mirror":
            resources = self._mirror(index, content)
        elif kind in ("stage", ""):
            resources = self._stage(index, content)
        else:
            self.remarks.lose(f"{index} type", f"an index of type `{kind}` is not known here", FILE)
            resources = self._stage(index, content)
        self._finish(index, config)
        return resources

    def _mirror(self, index: str, content: _Index) -> list[DraftResource]:
        """Return the remote, and what clients have asked for where the export tells it."""
        name, config = self._names[index], content.indexconfig
        streamed = bool(config.get("mirror_use_external_urls"))
        url = text(config.get("mirror_url"))
        policy = "streamed" if streamed else "on-demand"
        resources = [remote(name, {**location(url), "policy": policy})]
        held = _held(content)
        if not held:
            self.remarks.lose(f"{index} mirror_url", _ASKED_FOR, FILE)
            return resources
        what = "what clients had asked for is named in `include`; nothing else is asked for"
        self.remarks.differ(f"{index} mirror_url", what, FILE)
        source = {"remote": {"name": name, "include": held}}
        return [*resources, repository(name, [source]), publication(name, index)]

    def _stage(self, index: str, content: _Index) -> list[DraftResource]:
        name, config = self._names[index], content.indexconfig
        resources: list[DraftResource] = []
        sources: list[dict[str, Any]] = [{"upload": {}}]
        if any(file.type in ("", "releasefile") for file in content.files):
            folder = self._folder / index
            resources.append(remote(f"{name}-files", {"url": f"{folder}/"}, "The export."))
            self.reads.append(str(folder))
            held = {"name": f"{name}-files", "everything": True, "sharedProjects": ["*"]}
            sources.append({"remote": held})
        shared = texts(config.get("mirror_whitelist"))
        for base in texts(config.get("bases")):
            if base not in self._names:
                self.remarks.lose(f"{index} bases", f"`{base}` is not in the export", FILE)
            elif self._has_repository(base):
                allowed = {"sharedProjects": shared} if shared else {}
                sources.append({"repository": {"name": self._names[base], **allowed}})
            else:
                what = f"`{base}`: a `remote` source with what you need takes its place"
                self.remarks.lose(f"{index} bases", what, FILE)
        return [
            *resources,
            repository(name, sources, "Uploads, what was uploaded before, then the bases."),
            publication(name, index, self._access(index, config)),
        ]

    def _has_repository(self, index: str) -> bool:
        content = self._export.indexes[index]
        return content.indexconfig.get("type") != "mirror" or bool(_held(content))

    def _access(self, index: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rules for uploaders: with a secret of their own for each user."""
        users = texts(config.get("acl_upload"))
        rules = [
            {"username": user, "password": password(user)}
            for user in users
            if not user.startswith(":")
        ]
        for user in users:
            if user.startswith(":"):
                what = "uploads need credentials" if user == _ANYBODY else "groups are not known"
                self.remarks.lose(f"{index} acl_upload", f"`{user}`: {what}", FILE)
        if rules:
            self.remarks.differ(
                f"{index} acl_upload", "passwords are not in an export: set the variables", FILE
            )
        return {"access": {"upload": rules}} if rules else {}

    def _finish(self, index: str, config: Mapping[str, Any]) -> None:
        """Remark on options that have no equal."""
        if config.get("volatile") is True and text(config.get("type")) != "mirror":
            what = "files are never replaced; `reconciler remove` takes one away"
            self.remarks.lose(f"{index} volatile", what, FILE)
        for option in sorted(config.keys() - _TRANSLATED - _HAVE_NO_MEANING):
            if config[option] not in ("", [], {}, None, False, "intersection"):
                what = _NO_EQUAL.get(option, "not known here")
                self.remarks.lose(f"{index} {option}", what, FILE)
