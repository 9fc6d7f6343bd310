"""The legacy JSON API and the integrity API, answered from the pages that are published.

pypi/<project>/json                                    a project, as its newest release says it
pypi/<project>/<version>/json                          one release
integrity/<project>/<version>/<filename>/provenance    the provenance object of a file (PEP 740)
simple/ in JSON                                        the list of projects, with serials

What a file says is read from the project's page in JSON, which is the one truth of what is
published; what a release says, from the core metadata beside a file of it. Nothing is stored for
any of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from packaging.metadata import RawMetadata, parse_email
from packaging.version import InvalidVersion, Version

from reconciler.plugin import Answer, Redirect, View, ViewConduit, ViewRequest
from reconciler_python.publishing.rendering import file_path, serial_list, version_key
from reconciler_python.reading.documents import JSON_TYPE
from reconciler_python.reading.filenames import (
    WHEEL,
    FilenameReader,
    UnreadableFilename,
    project_name,
    stem_and_type,
)
from reconciler_python.reading.upload_times import upload_time

PROJECT: Final = View("pypi/{project}/json")
RELEASE: Final = View("pypi/{project}/{version}/json")
PROVENANCE: Final = View("integrity/{project}/{version}/{filename}/provenance")
LIST: Final = View("simple/", replaces=JSON_TYPE)
VIEWS: Final = (LIST, PROJECT, RELEASE, PROVENANCE)

PROVENANCE_TYPE: Final = "application/vnd.pypi.integrity.v1+json"
_JSON: Final = msgspec.json.Encoder()
_LONGEST_METADATA: Final = 4 * 1024 * 1024
_PACKAGE_TYPES: Final = {
    "wheel": "bdist_wheel",
    "egg": "bdist_egg",
    "wininst": "bdist_wininst",
    "msi": "bdist_msi",
    "dmg": "bdist_dmg",
    "rpm": "bdist_rpm",
    "dumb": "bdist_dumb",
}
# info of a release, by field of its core metadata: texts, and lists
_TEXTS: Final = (
    "author",
    "author_email",
    "description",
    "description_content_type",
    "download_url",
    "home_page",
    "license",
    "license_expression",
    "maintainer",
    "maintainer_email",
    "summary",
)
_LISTS: Final = {
    "classifiers": "classifiers",
    "dynamic": "dynamic",
    "license_files": "license_files",
    "platform": "platforms",
    "provides_extra": "provides_extra",
    "requires_dist": "requires_dist",
}

Entry = dict[str, Any]


def answered(conduit: ViewConduit, request: ViewRequest) -> Answer | Redirect | None:
    """Return the answer to a request to one of `VIEWS`; None where there is nothing."""
    if request.path == LIST.path:
        return _listed(conduit)
    name = project_name(request.parameters["project"])
    page = _page(conduit, name) if name else None
    if name is None or page is None:
        return None
    documents = ReleaseDocuments(conduit, name, _releases(name, page))
    version, filename = request.parameters.get("version"), request.parameters.get("filename")
    if version is not None and filename is not None:
        return documents.provenance(version, filename)
    return documents.answer(version)


def _listed(conduit: ViewConduit) -> Answer:
    serials = {
        path.split("/")[1]: serial for path, serial in conduit.serials("simple/", JSON_TYPE).items()
    }
    return Answer(
        body=serial_list(serials, conduit.serial),
        media_type=JSON_TYPE,
        headers=_serial_header(conduit.serial),
    )


def _page(conduit: ViewConduit, name: str) -> Entry | None:
    body = conduit.read(f"simple/{name}/", JSON_TYPE)
    page: Entry | None = None if body is None else msgspec.json.decode(body)
    return page


def _releases(name: str, page: Entry) -> dict[str, list[Entry]]:
    """Return the files of the page by version, ascending; those of no known version under ''."""
    reader = FilenameReader(name, legacy=True)
    releases: dict[str, list[Entry]] = {}
    for entry in page["files"]:
        try:
            version = reader.read(entry["filename"]).version
        except UnreadableFilename:  # it was readable when it was published
            version = ""
        releases.setdefault(version, []).append(entry)
    return {
        version: releases[version]
        for version in sorted(releases, key=lambda text: (version_key(text), text))
    }


def _meant(releases: Mapping[str, list[Entry]], text: str) -> str | None:
    """Return the release of that version, in whatever spelling (PEP 440); None for none."""
    if text in releases:
        return text
    try:
        version = Version(text)
    except InvalidVersion:
        return None
    return next((each for each in releases if _parsed(each) == version), None)


def _newest(releases: Mapping[str, list[Entry]]) -> str | None:
    """Return the release that stands for a project: one that installers would choose, if any is.

    Those whose version cannot be read come last, then yanked ones, then pre-releases.
    """

    def rank(text: str) -> tuple[bool, bool, bool, Version]:
        version = _parsed(text)
        yanked = all(entry.get("yanked") not in (None, False) for entry in releases[text])
        return (
            version is not None,
            not yanked,
            version is not None and not version.is_prerelease,
            version or Version("0"),
        )

    return max(releases, key=rank, default=None)


def _parsed(text: str) -> Version | None:
    key = version_key(text)[1]
    return key if isinstance(key, Version) else None


class ReleaseDocuments:
    """Documents about one project, from its page."""

    def __init__(
        self, conduit: ViewConduit, name: str, releases: Mapping[str, list[Entry]]
    ) -> None:
        self._conduit = conduit
        self._name = name
        self._releases = releases

    def answer(self, version: str | None) -> Answer | None:
        """Return what the JSON API says of a release; None for no such release.

        version: in whatever spelling; None for the project, as its newest release says it.
        """
        whole = version is None
        chosen = _newest(self._releases) if version is None else _meant(self._releases, version)
        if chosen is None:
            return None
        serial = self._conduit.serial_of(f"simple/{self._name}/") or 0
        files = {
            release: [self._file(entry) for entry in entries]
            for release, entries in self._releases.items()
            if whole or release == chosen
        }
        document = {
            "info": self._info(chosen),
            "last_serial": serial,
            **({"releases": files} if whole else {}),
            "urls": files[chosen],
            "vulnerabilities": [],
        }
        return Answer(
            body=_JSON.encode(document),
            media_type="application/json",
            headers=_serial_header(serial),
        )

    def provenance(self, version: str, filename: str) -> Answer | Redirect | None:
        """Return the provenance object of a file of a release; None where there is none."""
        for entry in self._releases.get(_meant(self._releases, version) or "", []):
            if entry["filename"] == filename:
                path = f"{self._path(entry)}.provenance"
                body = self._conduit.read(path)
                if body is not None:
                    return Answer(body=body, media_type=PROVENANCE_TYPE)
                return None if self._conduit.serial_of(path) is None else Redirect(path)
        return None

    def _path(self, entry: Entry) -> str:
        return file_path(self._name, entry["hashes"]["sha256"], entry["filename"])

    def _file(self, entry: Entry) -> Entry:
        filename, yanked = entry["filename"], entry.get("yanked", False)
        moment = upload_time(entry.get("upload-time"))
        stem, package_type = stem_and_type(filename) or ("", "sdist")
        file: Entry = {
            "comment_text": "",
            "digests": entry["hashes"],
            "downloads": -1,
            "filename": filename,
            "has_sig": False,
            "packagetype": _PACKAGE_TYPES.get(package_type, "sdist"),
            "python_version": _python_version(stem, package_type),
            "requires_python": entry.get("requires-python"),
            "size": entry.get("size"),
            "upload_time": None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S"),
            "upload_time_iso_8601": entry.get("upload-time"),
            "url": self._conduit.base_url + quote(self._path(entry), safe="/"),
            "yanked": yanked is not False,
            "yanked_reason": yanked if isinstance(yanked, str) and yanked else None,
        }
        return file | {key: entry[key] for key in ("core-metadata", "provenance") if key in entry}

    def _info(self, version: str) -> Entry:
        """Return what the core metadata of a release says: null where none is known."""
        entries = self._releases[version]
        raw = self._core_metadata(entries)
        known: RawMetadata = raw or {}
        yanked = [entry["yanked"] for entry in entries if entry.get("yanked") not in (None, False)]
        is_yanked = len(yanked) == len(entries)
        reasons = [reason for reason in yanked if isinstance(reason, str) and reason]
        requires = (entry["requires-python"] for entry in entries if "requires-python" in entry)
        address, keywords = self._conduit.base_url, known.get("keywords")
        return {
            **{key: known.get(key) for key in _TEXTS},
            **{key: known.get(field, None if raw is None else []) for key, field in _LISTS.items()},
            "bugtrack_url": None,
            "docs_url": None,
            "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
            "keywords": None if keywords is None else ",".join(keywords),
            "name": known.get("name") or self._name,
            "package_url": f"{address}simple/{self._name}/",
            "project_url": f"{address}simple/{self._name}/",
            "project_urls": known.get("project_urls"),
            "release_url": f"{address}pypi/{self._name}/{quote(version, safe='')}/json",
            "requires_python": known.get("requires_python") or next(requires, None),
            "version": version,
            "yanked": is_yanked,
            "yanked_reason": reasons[0] if is_yanked and reasons else None,
        }

    def _core_metadata(self, entries: Sequence[Entry]) -> RawMetadata | None:
        """Return the core metadata beside the first file that has some, in the store."""
        for entry in entries:
            if "core-metadata" in entry:
                body = self._conduit.read(f"{self._path(entry)}.metadata")
                if body is not None and len(body) <= _LONGEST_METADATA:
                    return parse_email(body)[0]
        return None


def _python_version(stem: str, package_type: str) -> str:
    parts = stem.split("-")
    return parts[-3] if package_type == WHEEL and len(parts) >= 5 else "source"


def _serial_header(serial: int) -> dict[str, str]:
    return {"X-PyPI-Last-Serial": str(serial)}
