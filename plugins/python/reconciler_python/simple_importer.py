"""The importer: reads any index with the simple repository API, version 1, JSON or HTML."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NoReturn, TypeVar

from reconciler.plugin import (
    UNCHANGED,
    ActiveFilter,
    Description,
    Draft,
    Gone,
    Group,
    GroupedUnit,
    Importer,
    Malformed,
    Mark,
    Metadata,
    Page,
    PluginCallConfiguration,
    Refused,
    Unchanged,
    Unit,
    UploadConduit,
    UploadedFile,
    Withdrawn,
)
from reconciler_python.constants import constant
from reconciler_python.dependencies.closure import Closure
from reconciler_python.dependencies.closure_results import ClosureResult, annotate
from reconciler_python.dependencies.unmet_requirements import (
    missing_project_error,
    unmet_requirement,
)
from reconciler_python.local_trees import (
    FolderProject,
    FolderTree,
    PageTree,
    is_local,
    local_tree,
    localised,
    project_page,
)
from reconciler_python.matching.subjects import projects as projects_of
from reconciler_python.options.conduit import Conduit
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.documents import ACCEPT
from reconciler_python.reading.filenames import project_name
from reconciler_python.reading.media_types import read_list, read_project
from reconciler_python.reading.units import DISTRIBUTION, PROJECT, Refuse, project_units
from reconciler_python.reading.urls import shown_url
from reconciler_python.selecting.evidence_facts import needs_evidence, with_evidence
from reconciler_python.selecting.marks import read_mark, with_marks, without_marks
from reconciler_python.selecting.project_filter import ProjectFilter
from reconciler_python.selecting.source_checks import selects_part

T = TypeVar("T")
Tree = PageTree | FolderTree

_LONG_PAGE: Final = 1024 * 1024  # bytes: reading fewer does not hold up the loop
_SERIAL: Final = "serial:"
_SERIALS: Final = (
    "serials:"  # validator of a whole source: its list, which says of each project when it changed
)
_NAMES: Final = "names:"  # the same of a list that does not


class PythonImporter(Importer[SelectionOptions, FilterOptions]):
    """Imports projects as groups.

    One conditional request per project, and none where the project list has serials.
    """

    well_known_names = ("pypi",)
    selection_required = ("include", "files", "requirements")
    translates = ("bandersnatch", "devpi", "nexus", "pulp", "pypiserver")
    # 2: files come in whose digest is another than sha256; 3: and those that list wheel variants
    revision = 3

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("python", "Python packages", (DISTRIBUTION, PROJECT), ">=2.0,<3")

    @classmethod
    def well_known(cls, index: str) -> str | None:
        return constant("pypi_simple", "PYPI_SIMPLE_ENDPOINT") if index == "pypi" else None

    @classmethod
    def starter(cls) -> Draft:
        # As for uploads: no sync needs it.
        from reconciler_python.arriving.starter import starter

        return starter()

    @classmethod
    def translate(cls, description: Description) -> Draft | None:
        from reconciler_python.arriving.translation import translate

        return translate(description)

    @classmethod
    def filters_need_read(
        cls, options: SelectionOptions, filters: Sequence[ActiveFilter[FilterOptions]]
    ) -> bool:
        """Return True where `read` looks for evidence, or asks for more than a page lists.

        Requirements may ask for digests of other kinds, which are not recorded; and what a project
        depends on is found out by what the filters let in.
        """
        asks = options.requirements or options.files or options.dependencies
        return bool(asks) or needs_evidence(options, filters)

    @classmethod
    def group_glob(cls, glob: str) -> str:
        """Return a glob as project names are normalised (PEP 503)."""
        return re.sub(r"[-_.]+", "-", glob).lower()

    @classmethod
    def explain(cls, subject: str) -> Iterable[str]:
        """Return the projects that a filename may mean; else the project that the subject names."""
        return projects_of(subject)

    @classmethod
    def read_mark(cls, mark: Mark) -> Mark:
        """Return a mark of a release, a file or a project."""
        return read_mark(mark)

    @classmethod
    def with_marks(cls, group: str, units: Sequence[Unit], marks: Sequence[Mark]) -> Sequence[Unit]:
        return with_marks(group, units, marks)

    @classmethod
    def without_marks(cls, group: str, units: Sequence[Unit]) -> Sequence[Unit]:
        return without_marks(units)

    def upload(  # noqa: PLR0917  # plugin API 1.x
        self,
        conduit: UploadConduit[SelectionOptions],
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[GroupedUnit]:
        """Take a wheel or a source distribution. Raises Refused and Conflict, each with a code."""
        # Parsers of metadata, which no sync needs.
        from reconciler_python.uploads.uploaded_files import received_units

        return received_units(conduit, file, fields)

    async def declare(self, conduit: Conduit) -> AsyncIterator[Group | Unchanged]:
        """Yield the projects that the keys name, without asking for the list of all.

        With a glob, or without any key, the list decides. With `dependencies`, what these require
        as well; a source that takes everything has that already.
        """
        tree = await local_tree(conduit)
        async for group in _groups(conduit, tree):
            if tree is None or isinstance(group, Unchanged):
                yield group
            else:
                yield await tree.with_page(conduit, group)

    async def read(self, conduit: Conduit, group: Group) -> Iterable[Unit] | Unchanged:
        """Return the distributions of one project.

        Raises Withdrawn for a quarantined one (PEP 792: no file of it may be offered), and
        Malformed where `requirements` or `files` ask for what the index does not have.
        """
        pulled = _pulled(group)
        if pulled is not None and pulled.failure is not None:
            if isinstance(pulled.failure, Gone):
                _raise_missing(conduit, group.name, pulled.failure)
            raise pulled.failure
        try:
            page = await _page(conduit, group)
        except Gone as gone:
            _raise_missing(conduit, group.name, gone)
        if conduit.unchanged(group.validator or page.validator):
            return UNCHANGED
        kept_out: dict[str, str] = {}

        def refuse(key: str, reason: str) -> None:
            kept_out[key] = reason
            conduit.refuse(key, reason)

        units = await _units(conduit.options, group, page, refuse=refuse)
        failure = unmet_requirement(conduit, group.name, units, kept_out=kept_out)
        if failure is not None:
            empty = not (units or kept_out)
            raise failure from (Gone(f"{shown_url(page)} lists no file") if empty else None)
        if pulled is not None and pulled.waits:
            conduit.incomplete("it waits for a project that could not be read")
        units = annotate(units, pulled, conduit.refuse)
        return await with_evidence(conduit, group.name, await conduit.with_first_seen(units))


async def _groups(conduit: Conduit, tree: Tree | None) -> AsyncIterator[Group | Unchanged]:
    options = conduit.options
    named = options.named_projects()
    if options.dependencies and selects_part(options):
        start = (
            _named(options, named)
            if named is not None
            else _listed(
                conduit, options, await _projects(await _list_page(conduit, tree), options)
            )
        )
        async for group in Closure(conduit, list(start), partial(_load, conduit, tree)).groups():
            yield group
    elif named is not None:
        for group in _named(options, named):
            yield group
    else:
        page = await _list_page(conduit, tree)
        if conduit.unchanged(f"{_SERIALS}{page.validator}"):
            yield UNCHANGED
            return
        projects = await _projects(page, options)
        if None in projects.values():
            conduit.unchanged(
                f"{_NAMES}{page.validator}"
            )  # of projects without a serial only their own pages tell
        del page  # tens of megabytes
        for group in _listed(conduit, options, projects):
            yield group


def _raise_missing(conduit: Conduit, project: str, gone: Gone) -> NoReturn:
    """Raise the error of a project that the index does not have.

    Where it is another one than `Gone`, that is its cause: the core then knows what upstream said.
    """
    error = missing_project_error(conduit, project, gone)
    raise error from (gone if error is not gone else None)


def _named(options: SelectionOptions, names: Iterable[str]) -> Iterator[Group]:
    """Yield groups of named projects.

    Their files are refused one by one, so that a plan shows each file that a filter keeps out.
    """
    return (
        Group(name, shared=bool(options.shared.for_project(name)))
        for name in names
        if not options.excluded.whole_project(name)
    )


def _listed(
    conduit: Conduit, options: SelectionOptions, serials: dict[str, int | None]
) -> Iterator[Group]:
    """Yield the projects of the index's own list that can be meant.

    Of those that a filter keeps out whole no page is read. Projects that a key names without a
    glob are asked for even where the list lacks them: that alone does not say that they are gone.
    """
    prefilter = ProjectFilter(options, conduit.filters)
    literal, shared, refusal = set(options.literal_projects()), options.shared, ""
    filters, shares = bool(prefilter), bool(shared)  # asked once: the list may be long
    for name, serial in serials.items():
        if filters:
            refusal = prefilter.refusal(name)
        yield Group(
            name,
            None if serial is None else f"{_SERIAL}{serial}",
            listed=name not in literal,
            refused=refusal,
            shared=shares and bool(shared.for_project(name)),
        )
    yield from _named(options, sorted(literal - serials.keys()))


async def _all_projects(conduit: Conduit, tree: Tree | None) -> dict[str, int | None]:
    return await _projects(await _list_page(conduit, tree), conduit.options)


async def _load(conduit: Conduit, tree: Tree | None, group: Group) -> tuple[str, list[Unit]]:
    """Read a project for the closure, without refusals: `read` reports those."""
    page = await (_page(conduit, group) if tree is None else tree.project_page(conduit, group.name))
    units = await _units(conduit.options, group, page, refuse=lambda key, reason: None)
    return page.validator, list(await conduit.with_first_seen(units))


async def _page(conduit: Conduit, group: Group) -> Page:
    if isinstance(group.data, FolderProject):
        return group.data.page
    if is_local(conduit.url):
        return await project_page(conduit, group.name)
    return await conduit.get(f"{group.name}/", accept=ACCEPT, at_least=_serial(group))


def _pulled(group: Group) -> ClosureResult | None:
    """Return what the closure found out about a group."""
    data = group.data.data if isinstance(group.data, FolderProject) else group.data
    return data if isinstance(data, ClosureResult) else None


async def _units(
    options: SelectionOptions, group: Group, page: Page, *, refuse: Refuse
) -> list[Unit]:
    document = await _beside_loop(page, read_project)
    if document.status == "quarantined":
        raise Withdrawn(
            f"{shown_url(page)}: quarantined upstream"
            + (f': "{document.status_reason}"' if document.status_reason else "")
        )
    legacy, unhashed = options.legacy == "allow", options.hashes == "optional"
    if is_local(page.url):  # the bytes are here: a digest that is missing can be measured
        document, unhashed = localised(document, page), True
    return project_units(
        group.name, document, page.url, refuse=refuse, legacy=legacy, unhashed=unhashed
    )


async def _beside_loop(page: Page, read: Callable[[Page], T]) -> T:
    """Return what a page says; a long one is read in a worker thread."""
    return await asyncio.to_thread(read, page) if len(page.body) > _LONG_PAGE else read(page)


async def _projects(page: Page, options: SelectionOptions) -> dict[str, int | None]:
    """Return normalised name -> serial, of the projects that can be meant.

    What is no project name is passed over: it could not be asked for.
    """
    listed = await _beside_loop(page, read_list)
    listed.reverse()
    if listed and not any(project_name(entry.name) for entry in listed):
        raise Malformed(
            f"{shown_url(page)}: none of its {len(listed):,} projects has a usable name"
        )
    serials: dict[str, int | None] = {}
    takes_all = options.takes_every_name
    while listed:  # half a million entries: let each go as soon as it is read
        entry = listed.pop()
        name = project_name(entry.name)
        if name is None or not (takes_all or _may_be_in(name, options)):
            continue
        serial = entry.serial
        if name in serials:  # in another spelling
            before = serials[name]
            serial = serial if before is None or serial is None else max(before, serial)
        serials[name] = serial
    return serials


async def _list_page(conduit: Conduit, tree: Tree | None) -> Page:
    """Fetch the list of projects.

    Raises with a hint where the index has none, or keeps it to itself: named projects need none.
    """
    if tree is not None:
        return tree.list_page
    try:
        return await conduit.get("", accept=ACCEPT)
    except (Gone, Refused) as error:
        hint = (
            "the index lists no projects, so globs cannot be matched and `everything` is unknown:"
            " name the projects in `include`"
        )
        other = error.hint or "check the URL and `auth` of the remote"
        raise Refused(str(error), hint=f"{hint}; or {other}") from None


def _may_be_in(name: str, options: SelectionOptions) -> bool:
    if options.excluded and options.excluded.whole_project(name):
        return False
    return options.concerns(name)


def _serial(group: Group) -> int | None:
    """Return the serial that the list announced: an older page is a lagging cache's.

    What the closure adds to a validator follows a space.
    """
    validator = group.validator or ""
    return (
        int(validator.removeprefix(_SERIAL).partition(" ")[0])
        if validator.startswith(_SERIAL)
        else None
    )
