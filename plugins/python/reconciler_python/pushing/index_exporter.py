"""The exporter of Python packages: an index is sent what it lacks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from reconciler.plugin import (
    Exporter,
    FormConduit,
    Gone,
    IndexLocation,
    IndexPage,
    Login,
    LoginConduit,
    NotEmpty,
    OptionFault,
    Options,
    Page,
    SortKey,
    StoredArtifact,
    StoredUnit,
    UploadAnswer,
    UploadForm,
)
from reconciler_python.matching.rules import Matcher, Rules, parse_rule
from reconciler_python.pushing.index_answers import meaning
from reconciler_python.pushing.index_names import WELL_KNOWN, locate, pages_of, section_of
from reconciler_python.pushing.trusted_publishing import is_available, trusted_login
from reconciler_python.reading.documents import ACCEPT
from reconciler_python.reading.filenames import SDIST, WHEEL
from reconciler_python.reading.media_types import read_project
from reconciler_python.reading.units import DISTRIBUTION, artifact_of, is_variants_index

_TOKEN_USER: Final = "__token__"  # noqa: S105

logger = logging.getLogger(__name__)


def _checked(text: str) -> str:
    parse_rule(text, filenames=True)
    return text


def _checked_address(text: str) -> str:
    if not text.startswith(("https://", "http://")) or not text.isprintable() or "@" in text:
        raise OptionFault(
            "expects the URL of a simple index", hint="such as https://index.example.org/simple/"
        )
    return text if text.endswith("/") else f"{text}/"


class IndexOptions(Options):
    """Keys of an index that a publication of type `python` is sent to."""

    simple: Annotated[str, AfterValidator(_checked_address)] | None = Field(
        default=None,
        description=(
            "Where the index lists its files; needed unless its name, or `/legacy/` at the end of"
            " `url`, tells it."
        ),
    )
    include: Annotated[
        tuple[Annotated[str, AfterValidator(_checked)], ...], Field(strict=False), NotEmpty()
    ] = Field(
        default=(),
        description="Requirement strings, name globs and filenames to send; none: everything.",
    )
    attestations: bool = Field(
        default=True, description="Whether attestations (PEP 740) that a file has go with it."
    )
    trusted_publishing: Literal["auto", "always", "never"] = Field(
        default="auto",
        description=(
            "Whether the identity of a CI job is exchanged for a token of the index: `auto` where"
            " nothing else is known and the index has a name."
        ),
    )


class PythonExporter(Exporter[IndexOptions]):
    """Sends wheels and source distributions by the legacy upload form."""

    @classmethod
    def check(cls, name: str, url: str, options: IndexOptions) -> None:
        if url and options.simple is None:
            pages_of(url)

    @classmethod
    def location(cls, name: str, url: str, options: IndexOptions) -> IndexLocation:
        return locate(name, url, options.simple or "")

    @classmethod
    def login(
        cls, conduit: LoginConduit, location: IndexLocation, options: IndexOptions, *, name: str
    ) -> Login | None:
        """Look into `.pypirc`, then for the identity of a CI job, then into the keyring."""
        if options.trusted_publishing == "always":
            return _of_this_job(conduit, location) if conduit.sending else None
        section = section_of(name) if name else None
        if section is not None and section.username and section.password:
            return Login(section.username, section.password)
        automatic = options.trusted_publishing == "auto" and bool(name) and conduit.sending
        login = None
        if automatic and is_available(conduit.environment):
            with suppress(Gone):  # an index without trusted publishing
                login = trusted_login(conduit, location.upload)
        username = section.username if section is not None else ""
        if not username and name == WELL_KNOWN:
            username = _TOKEN_USER
        return login or _of_keyring(location.upload, username)

    @classmethod
    def left_out(cls, unit: StoredUnit, options: IndexOptions) -> str | None:
        if unit.type != DISTRIBUTION or not _is_asked_for(unit, options):
            return ""
        if is_variants_index(unit):
            return "a list of wheel variants, for which the upload form has no words"
        package_type = unit.metadata["packageType"]
        if package_type not in (WHEEL, SDIST):
            return f"of type `{package_type}`, which the upload form does not take"
        if unit.metadata.get("yanked"):
            return "yanked, which the upload form cannot say"
        return None

    @classmethod
    def file_of(cls, unit: StoredUnit) -> StoredArtifact:
        file = artifact_of(unit, unit.key)
        assert file is not None, unit.key
        return file

    @classmethod
    def page_of(cls, location: IndexLocation, group: str) -> IndexPage:
        return IndexPage(f"{location.pages}{group}/", ACCEPT)

    @classmethod
    def listed(cls, page: Page, group: str) -> Mapping[str, Mapping[str, str]]:
        return {file.filename: file.hashes for file in read_project(page).files}

    @classmethod
    def sort_key(cls, unit: StoredUnit) -> SortKey:
        """Wheels come first: a release of a source distribution alone would be built by clients."""
        return (str(unit.metadata["packageType"] != WHEEL), unit.key)

    @classmethod
    def form(cls, conduit: FormConduit, unit: StoredUnit, options: IndexOptions) -> UploadForm:
        # loaded here: what is never sent pays for no parser of metadata
        from reconciler_python.pushing.upload_form import upload_form

        return upload_form(conduit, unit, attestations=options.attestations)

    @classmethod
    def answer(cls, status: int, reason: str, body: bytes) -> UploadAnswer:
        return meaning(status, reason, body)


def _is_asked_for(unit: StoredUnit, options: IndexOptions) -> bool:
    if not options.include:
        return True
    matcher = Matcher(_rules(options.include), unit.group, prereleases=False)
    return matcher.find(unit.metadata["version"], unit.key) is not None


@lru_cache(maxsize=64)
def _rules(include: tuple[str, ...]) -> Rules:
    return Rules(include, filenames=True)


def _of_this_job(conduit: LoginConduit, location: IndexLocation) -> Login:
    login = trusted_login(conduit, location.upload)
    if login is None:
        raise OptionFault(
            "`trustedPublishing: always`, and this is no CI job with an identity for the index",
            hint="GitHub: `permissions: {id-token: write}`; GitLab: `id_tokens` of the job",
        )
    return login


def _of_keyring(upload: str, username: str) -> Login | None:
    """Return what the keyring of the user has for an address; None without a keyring."""
    try:
        import keyring
    except ImportError:
        return None
    try:
        credential: Any = keyring.get_credential(upload, username or None)
    except Exception as error:  # of a backend: locked, or no session to ask in
        logger.info("the keyring has no answer: %s", type(error).__name__)
        return None
    return Login(credential.username, credential.password) if credential is not None else None
