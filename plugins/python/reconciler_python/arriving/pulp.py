"""Pulp: what `pulp python remote list`, `repository list` and `distribution list` print as JSON."""

from __future__ import annotations

import re
from typing import Any, Final

from reconciler.plugin import Description, Draft, DraftResource, OptionFault
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
from reconciler_python.arriving.package_kinds import FAMILIES, PACKAGE_TYPES, kept_keys
from reconciler_python.matching.rules import parse_rule

KIND: Final = "pulp"
_HREF = re.compile(r"/(remotes|repositories|distributions|publications|contentguards)/(\w+)/")
_POLICIES: Final = {"immediate": "immediate", "on_demand": "on-demand", "streamed": "streamed"}
_NO_EQUAL: Final = {
    "autopublish": "every version is published at once, unless a publication pins one",
    "client_cert": "certificates are files: `tls.clientCert`, `tls.clientKey`",
    "content_guard": "who may read is said in `access.read`",
    "ca_cert": "certificates are files: `tls.ca`",
    "download_concurrency": "",
    "provenance": "provenance objects are always taken",
    "retain_repo_versions": "every version is kept",
    "headers": "name them in `headers`, secret ones by `{env: NAME}`",
}


def is_listing(value: Any) -> bool:
    """Return True for objects of Pulp."""
    listed = objects(value)
    return bool(listed) and all("pulp_href" in each for each in listed)


def translate(description: Description, files: list[str]) -> Draft:
    """Return a repository for each of Pulp's, with its remote and its distributions.

    Raises Malformed.
    """
    reader = _Reader()
    for name in files:
        reader.sort(objects(decode(description, name, object)), name)
    resources = reader.resources()
    return Draft("pulp", "Made from listings of Pulp.", resources, reader.remarks.all)


class _Reader:
    """Sorts objects, then translates those of Python packages."""

    def __init__(self) -> None:
        self.remarks = Remarks()
        self._objects: dict[str, dict[str, dict[str, Any]]] = {}
        self._places: dict[str, str] = {}

    def sort(self, listed: list[dict[str, Any]], file: str) -> None:
        """Keep the objects of a file by kind and href."""
        for each in listed:
            href = text(each.get("pulp_href"))
            match = _HREF.search(href)
            if match is None or match[2] != "python":
                what = f"`{text(each.get('name')) or href}` holds no Python packages"
                self.remarks.lose("pulp_href", what, file)
                continue
            self._objects.setdefault(match[1], {})[href] = each
            self._places[href] = file

    def resources(self) -> list[DraftResource]:
        """Return the resources; every repository has a source of its own."""
        resources: list[DraftResource] = []
        names: dict[str, str] = {}
        remotes = self._objects.get("remotes", {})
        selections: dict[str, dict[str, Any]] = {}
        for href, each in remotes.items():
            names[href] = resource_name(text(each.get("name")), list(names.values()))
            resources.append(remote(names[href], self._remote(href, each)))
            selections[href] = {"name": names[href], **self._selection(href, each)}
        own: dict[str, str] = {}
        for href, each in self._objects.get("repositories", {}).items():
            own[href] = resource_name(text(each.get("name")), list(own.values()))
            from_remote = selections.get(text(each.get("remote")))
            sources = [{"remote": from_remote}] if from_remote else [{"upload": {}}]
            resources.append(repository(own[href], sources))
            self._finish(href, each, ("retain_repo_versions", "autopublish"))
        for href, each in self._objects.get("distributions", {}).items():
            resources += self._distribution(href, each, own)
        return resources

    def _remote(self, href: str, each: dict[str, Any]) -> dict[str, Any]:
        """Return the keys of a remote."""
        url = text(each.get("url")).rstrip("/")
        keys: dict[str, Any] = location(url if url.endswith("/simple") else f"{url}/simple/")
        policy = text(each.get("policy")) or "immediate"
        keys["policy"] = _POLICIES.get(policy, "immediate")
        if number(each.get("download_concurrency")):
            keys["concurrency"] = min(number(each["download_concurrency"]), 256)
        if number(each.get("rate_limit")):
            keys["rateLimit"] = f"{number(each['rate_limit'])}/s"
        if isinstance(each.get("max_retries"), int) and 0 <= each["max_retries"] <= 100:
            keys["retries"] = each["max_retries"]
        if re.fullmatch(r"https?://[^\s@?#]+", text(each.get("proxy_url"))):
            keys["proxy"] = each["proxy_url"]
        if each.get("tls_validation") is False:
            keys["tls"] = {"verify": False}
        hidden = {
            text(field.get("name"))
            for field in objects(each.get("hidden_fields") or [])
            if field.get("is_set")
        }
        if "username" in hidden or "password" in hidden:
            variable = text(each.get("name")) or "remote"
            keys["auth"] = {
                "username": {"env": password(f"{variable}-user")["env"]},
                "password": password(variable),
            }
        timeouts = {
            key: f"{number(each[option])}s"
            for option, key in (
                ("connect_timeout", "connect"),
                ("sock_read_timeout", "read"),
                ("total_timeout", "total"),
            )
            if number(each.get(option))
        }
        self._finish(href, each, ("ca_cert", "client_cert", "headers", "provenance"))
        return keys | ({"timeouts": timeouts} if timeouts else {})

    def _selection(self, href: str, each: dict[str, Any]) -> dict[str, Any]:
        """Return the keys of a source that selects what a remote selects."""
        place, name = self._places[href], each.get("name")
        include = self._rules(texts(each.get("includes")), f"{name} includes", place)
        exclude = self._rules(texts(each.get("excludes")), f"{name} excludes", place)
        types = [
            PACKAGE_TYPES[word]
            for word in texts(each.get("package_types"))
            if word in PACKAGE_TYPES
        ]
        families = [
            FAMILIES[word] for word in texts(each.get("exclude_platforms")) if word in FAMILIES
        ]
        if families:
            what = "said by what stays; here a family is every tag of it"
            self.remarks.differ(f"{name} exclude_platforms", what, place)
        keys = kept_keys(families, types)
        versions = any(character in rule for rule in include for character in "<>=~!")
        if each.get("prereleases") is not True:
            keys["prereleases"] = "deny"
        elif versions:
            keys["prereleases"] = "allow"
        if number(each.get("keep_latest_packages")):
            keys["latest"] = number(each["keep_latest_packages"])
            what = "here the releases are counted that pass everything else"
            self.remarks.differ(f"{name} keep_latest_packages", what, place)
        selected: dict[str, Any] = {"include": include} if include else {"everything": True}
        if exclude:
            selected["exclude"] = exclude
        return selected | ({"filter": keys} if keys else {})

    def _rules(self, written: list[str], option: str, place: str) -> list[str]:
        rules = []
        for rule in written:
            try:
                parse_rule(rule)
            except OptionFault:
                self.remarks.lose(option, f"`{rule}` is no requirement here", place)
            else:
                rules.append(rule)
        return rules

    def _distribution(
        self, href: str, each: dict[str, Any], own: dict[str, str]
    ) -> list[DraftResource]:
        """Return the publication of a distribution that serves a repository."""
        name, place = text(each.get("name")), self._places[href]
        repository = own.get(text(each.get("repository")))
        if each.get("remote"):
            what = "what a client asks for is not taken from a remote: select it in the repository"
            self.remarks.lose(f"{name} remote", what, place)
        self._finish(href, each, ("content_guard",))
        if repository is None:
            what = "it serves a publication, or no repository that is listed"
            self.remarks.lose(f"{name} repository", what, place)
            return []
        keys: dict[str, Any] = {}
        if each.get("allow_uploads") is True:
            keys["access"] = {"upload": [{"token": {"env": password(name, "TOKEN")["env"]}}]}
            what = "a repository with an `upload` source takes them; the variable holds the token"
            self.remarks.differ(f"{name} allow_uploads", what, place)
        result = publication(repository, served_path(text(each.get("base_path")), repository), keys)
        return [DraftResource(result.kind, resource_name(name), result.spec)]

    def _finish(self, href: str, each: dict[str, Any], options: tuple[str, ...]) -> None:
        for option in options:
            if each.get(option):
                place = self._places[href]
                self.remarks.lose(f"{each.get('name')} {option}", _NO_EQUAL[option], place)
