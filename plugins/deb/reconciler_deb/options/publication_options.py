"""The keys of a publication of type `deb`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from reconciler.plugin import Duration, NotEmpty, OptionFault, Options, Secret
from reconciler_deb.options.source_options import ArchitectureList


def _checked_line(text: str) -> str:
    """Return a text for one field. Raises OptionFault for one that would become several."""
    if not text.isprintable() or text != text.strip() or len(text) > 200:
        raise OptionFault(
            f"{text!r:.80} is no text for one line", hint="up to 200 printable characters"
        )
    return text


Line = Annotated[str, AfterValidator(_checked_line)]


class SigningOptions(Options):
    """The key that signs every Release."""

    key: Secret = Field(
        description="The secret key, armoured (`gpg --armor --export-secret-keys`)."
    )
    passphrase: Secret | None = Field(default=None, description="Its passphrase, if it has one.")


class PublicationOptions(Options):
    """Keys of a publication."""

    origin: Line = Field(
        default="", description="`Origin` of every Release: who publishes, for `apt_preferences`."
    )
    label: Line = Field(default="", description="`Label` of every Release.")
    description: Line = Field(default="", description="`Description` of every Release.")
    architectures: Annotated[ArchitectureList, NotEmpty()] = Field(
        default=(),
        description=(
            "Architectures whose indexes list the packages for `all` too, for clients other than"
            " apt; none: these have an index of their own."
        ),
    )
    valid_for: Duration | None = Field(
        default=None,
        description=(
            "How long clients may believe a Release (`7d`): its `Valid-Until`, counted from the"
            " moment of the version."
        ),
    )
    signing: SigningOptions | None = Field(
        default=None,
        description="The key that signs every Release; none: clients need `[trusted=yes]`.",
    )
    compressions: Annotated[
        tuple[Literal["gz", "xz", "zst"], ...], Field(strict=False), NotEmpty()
    ] = Field(
        default=("gz", "xz"),
        description="Compressions of indexes; `xz` is the smallest, and costs the most by far.",
    )
    pool: Literal["digest", "upstream"] = Field(
        default="digest",
        description=(
            "Where files lie: in folders named by their digest, which clients may cache for ever,"
            " or (`upstream`) where the archive that they came from has them."
        ),
    )
