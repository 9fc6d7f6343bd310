"""Reads any index that speaks the simple repository API, version 1, in JSON or HTML."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final

from reconciler.plugin import UNCHANGED, Gone, Group, Importer, ImporterCall, Metadata, Page, Unchanged, Unit
from reconciler_python.constants import constant
from reconciler_python.documents import (
    ACCEPT,
    HTML_TYPES,
    JSON_TYPE,
    ListedProject,
    ProjectDocument,
    read_list_json,
    read_project_json,
    unsupported_type,
)
from reconciler_python.filenames import possible_projects, project_name, stem_and_type
from reconciler_python.markup import read_list_html, read_project_html
from reconciler_python.options import FilterOptions, SelectionOptions
from reconciler_python.units import DISTRIBUTION, PROJECT, project_units

_SERIAL: Final = "serial:"


class PythonImporter(Importer):
    """Groups are projects. One conditional request per project, and where the project list has serials not even that."""

    options = SelectionOptions
    filter_options = FilterOptions
    well_known_names = ("pypi",)

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("python", "Python packages", (DISTRIBUTION, PROJECT), ">=1.0,<2")

    @classmethod
    def well_known(cls, index: str) -> str | None:
        return constant("pypi_simple", "PYPI_SIMPLE_ENDPOINT") if index == "pypi" else None

    @classmethod
    def explain(cls, subject: str) -> Iterable[str]:
        """The project of a filename, under every name that it can mean; else the project that the subject names."""
        found = stem_and_type(subject)
        names = possible_projects(*found) if found is not None else [subject]
        return dict.fromkeys(name for name in map(project_name, names) if name is not None)

    async def declare(self, call: ImporterCall) -> AsyncIterator[Group]:
        """The projects that `include` names, without asking for the list of all; with a glob, or without `include`, the list decides."""
        options: SelectionOptions = call.options
        named = options.included.projects() if options.included else None
        if named is not None:
            for name in named:
                if not options.excluded.whole_project(name):
                    yield Group(name)
            return
        for name, serial in (await _projects(call, options)).items():
            yield Group(name, None if serial is None else f"{_SERIAL}{serial}", listed=True)

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit] | Unchanged:
        """The distributions of one project. Raises Gone for a quarantined one (PEP 792: no file of it may be offered)."""
        page = await call.get(f"{group.name}/", accept=ACCEPT, at_least=_serial(group))
        if call.unchanged(group.validator or page.validator):
            return UNCHANGED
        document = _read_project(page)
        if document.status == "quarantined":
            raise Gone(f"{page.url}: quarantined upstream" + (f': "{document.status_reason}"' if document.status_reason else ""))
        return project_units(group.name, document, page.url, call.refuse)


async def _projects(call: ImporterCall, options: SelectionOptions) -> dict[str, int | None]:
    """Normalised name -> serial, of the projects that can be meant. What is no project name is passed over: nobody could ask for it."""
    listed = _read_list(await call.get("", accept=ACCEPT))
    listed.reverse()
    found: dict[str, int | None] = {}
    while listed:  # half a million entries: let each go as soon as it is read
        entry = listed.pop()
        name = project_name(entry.name)
        if name is None or not _may_be_in(name, options):
            continue
        known = found.get(name)
        found[name] = entry.serial if known is None or entry.serial is None else max(known, entry.serial)
    return found


def _may_be_in(name: str, options: SelectionOptions) -> bool:
    if options.excluded and options.excluded.whole_project(name):
        return False
    return not options.included or bool(options.included.about(name))


def _read_project(page: Page) -> ProjectDocument:
    if page.media_type == JSON_TYPE:
        return read_project_json(page)
    if page.media_type in HTML_TYPES:
        return read_project_html(page)
    raise unsupported_type(page)


def _read_list(page: Page) -> list[ListedProject]:
    if page.media_type == JSON_TYPE:
        return read_list_json(page)
    if page.media_type in HTML_TYPES:
        return read_list_html(page)
    raise unsupported_type(page)


def _serial(group: Group) -> int | None:
    """The serial that the list announced: an older page is a lagging cache's."""
    validator = group.validator or ""
    return int(validator.removeprefix(_SERIAL)) if validator.startswith(_SERIAL) else None
