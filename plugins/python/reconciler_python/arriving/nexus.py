"""Nexus: the list of repositories of its REST API (`/service/rest/v1/repositorySettings`)."""

from __future__ import annotations

from typing import Any, Final

from reconciler.plugin import Description, Draft, DraftResource
from reconciler_python.arriving.draft_parts import (
    Remarks,
    location,
    password,
    publication,
    remote,
    repository,
    resource_name,
    served_path,
)
from reconciler_python.arriving.json_documents import decode, number, objects, text, texts

KIND: Final = "nexus"
_FORMAT = "pypi"
_ASKED_FOR: Final = (
    "it asks upstream when a client does. The Remote is here; write a repository whose `remote`"
    " source names in `include` what you need, or says `everything: true`"
)


def is_listing(value: Any) -> bool:
    """Return True for repositories of Nexus."""
    listed = objects(value)
    return bool(listed) and all({"name", "format", "type"} <= each.keys() for each in listed)


def translate(description: Description, name: str) -> Draft:
    """Return a repository and a publication for each of the Python ones. Raises Malformed."""
    listed = objects(decode(description, name, object))
    reader = _Reader(name or description.path.name, listed)
    ours = [each for each in listed if reader.is_ours(each)]
    names: dict[str, str] = {}
    for each in ours:
        written = text(each.get("name"))
        names.setdefault(written, resource_name(written, list(names.values())))
    resources = [resource for each in ours for resource in reader.repository(each, names)]
    return Draft("nexus", "Made from the repositories of Nexus.", resources, reader.remarks.all)


class _Reader:
    """Reads repositories. `place`: the file that lists them."""

    def __init__(self, place: str, listed: list[dict[str, Any]]) -> None:
        self._place = place
        self._proxies = {text(each.get("name")) for each in listed if each.get("type") == "proxy"}
        self.remarks = Remarks()

    def is_ours(self, each: dict[str, Any]) -> bool:
        if each.get("format") == _FORMAT:
            return True
        what = f"its format is `{text(each.get('format'))}`: write it by hand"
        self.remarks.lose(text(each.get("name")), what, self._place)
        return False

    def repository(self, each: dict[str, Any], names: dict[str, str]) -> list[DraftResource]:
        """Return the resources of one repository; it is served where Nexus served it."""
        written = text(each.get("name"))
        name, kind, keys = names[written], text(each.get("type")), {}
        self._finish(each, written)
        if kind == "proxy":
            return [remote(name, self._remote(each, written))]
        if kind == "group":
            sources = self._members(each, names)
        else:
            sources = [{"upload": {}}]
            keys = self._uploads(each, written)
        if not sources:
            sources = [{"upload": {}}]
        return [
            repository(name, sources),
            publication(name, served_path(f"repository/{written}", name), keys),
        ]

    def _remote(self, each: dict[str, Any], name: str) -> dict[str, Any]:
        """Return the keys of the remote of a proxy."""
        proxy, client = _part(each, "proxy"), _part(each, "httpClient")
        attributes = _part(_part(each, "attributes"), "proxy")
        url = (text(proxy.get("remoteUrl")) or text(attributes.get("remoteUrl"))).rstrip("/")
        keys: dict[str, Any] = {
            **location(url if url.endswith("/simple") else f"{url}/simple/"),
            "policy": "on-demand",
        }
        self.remarks.lose(f"{name} proxy", _ASKED_FOR, self._place)
        login = _part(client, "authentication")
        if text(login.get("username")):
            keys["auth"] = {"username": login["username"], "password": password(name)}
        connection = _part(client, "connection")
        if number(connection.get("timeout")):
            keys["timeouts"] = {"read": f"{number(connection['timeout'])}s"}
        if isinstance(connection.get("retries"), int) and 0 <= connection["retries"] <= 100:
            keys["retries"] = connection["retries"]
        return keys

    def _members(self, each: dict[str, Any], names: dict[str, str]) -> list[dict[str, Any]]:
        """Return the sources of a group: its hosted members and groups, in their order."""
        sources = []
        for member in texts(_part(each, "group").get("memberNames")):
            if member in names and member not in self._proxies:
                sources.append({"repository": {"name": names[member]}})
            else:
                what = f"`{member}`: a `remote` source with what you need takes its place"
                self.remarks.lose(f"{text(each.get('name'))} group", what, self._place)
        return sources

    def _uploads(self, each: dict[str, Any], name: str) -> dict[str, Any]:
        """Return who may upload into a hosted repository."""
        policy = text(_part(each, "storage").get("writePolicy")).upper()
        if policy == "DENY":
            return {}
        if policy == "ALLOW":
            what = "files are never replaced; `reconciler remove` takes one away"
            self.remarks.lose(f"{name} storage.writePolicy", what, self._place)
        what = "users and roles are not in the list: one token, in a variable"
        self.remarks.differ(f"{name} uploads", what, self._place)
        return {"access": {"upload": [{"token": password(name, "TOKEN")}]}}

    def _finish(self, each: dict[str, Any], name: str) -> None:
        """Remark on options that have no equal."""
        said = {
            "cleanup": (_part(each, "cleanup").get("policyNames"), "`latest` keeps the newest"),
            "routingRuleName": (each.get("routingRuleName"), "`include`, `exclude` or a Filter"),
            "component.proprietaryComponents": (
                _part(each, "component").get("proprietaryComponents"),
                "`upload: {names: [...]}` reserves names",
            ),
            "online": (each.get("online") is False, "it was offline; here it is served"),
            "httpClient.blocked": (_part(each, "httpClient").get("blocked"), "leave it out"),
        }
        for option, (value, instead) in said.items():
            if value:
                self.remarks.lose(f"{name} {option}", instead, self._place)


def _part(each: dict[str, Any], key: str) -> dict[str, Any]:
    part = each.get(key)
    return part if isinstance(part, dict) else {}
