"""Lays a version out as an apt repository.

dists/<suite>/Release                                           the suite, with digests
dists/<suite>/InRelease, Release.gpg                            the same, signed
dists/<suite>/<component>/binary-<architecture>/Packages.gz, .xz
dists/<suite>/<component>/source/Sources.gz, .xz
dists/<suite>/.../by-hash/SHA256/<digest>                       each of these under its digest
pool/...                                                        the files
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from reconciler.plugin import (
    IndexFile,
    Metadata,
    MissingConduit,
    Output,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    Redirect,
    Refused,
    RenderedFile,
    StoredUnit,
)
from reconciler_deb.options.publication_options import PublicationOptions, SigningOptions
from reconciler_deb.publishing.indexes import entry_of, index_file, indexes_of, parse_index_name
from reconciler_deb.publishing.paths import all_files
from reconciler_deb.publishing.release import render_release
from reconciler_deb.publishing.signing import ReleaseSigner, SigningKey
from reconciler_deb.reading.units import PACKAGE, SOURCE_PACKAGE

_MEDIA_TYPES: Final = {
    "deb": "application/vnd.debian.binary-package",
    "udeb": "application/vnd.debian.binary-package",
    "dsc": "text/plain",
}
_BYTES: Final = "application/octet-stream"

AptConduit = PublishConduit[PublicationOptions]


class AptPublisher(Publisher[PublicationOptions]):
    """Publishes an apt repository. The result depends on the version and the options alone.

    The core keeps the entries of indexes, and renders those that differ; the Release of a suite
    sums up the files of its indexes.
    """

    revision = 1

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("deb", "apt repository", (PACKAGE, SOURCE_PACKAGE), ">=2.0,<3")

    @classmethod
    def indexes_of(cls, unit: StoredUnit, options: PublicationOptions) -> Iterable[str]:
        return map(str, indexes_of(unit, options))

    @classmethod
    def entry_of(cls, unit: StoredUnit, index: str, options: PublicationOptions) -> bytes:
        return entry_of(unit, options.pool)

    @classmethod
    def index_file(cls, name: str, options: PublicationOptions) -> IndexFile:
        return index_file(parse_index_name(name), options)

    def publish(self, conduit: AptConduit, config: PluginCallConfiguration) -> None:
        """Write the files of changed packages."""
        for name in conduit.changed_groups():
            units = conduit.units(name)
            with conduit.group(name) as output:
                _publish_files(output, units, conduit.options.pool)

    def render_summary(
        self,
        conduit: AptConduit,
        name: str,
        files: Sequence[RenderedFile],
        *,
        output: Output,
    ) -> None:
        """Write the Release of a suite, and what signs it: `Release.gpg` is for older clients."""
        options, folder = conduit.options, f"dists/{name}"
        text = render_release(name, options, conduit.version.recorded_at, files=files)
        output.page(f"{folder}/Release", text, "text/plain")
        if options.signing is not None:
            key = signing_key(options.signing)
            clearsigned, detached = (
                ReleaseSigner(key, "clearsigned"),
                ReleaseSigner(key, "detached"),
            )
            output.signed_page(f"{folder}/InRelease", text, "text/plain", signer=clearsigned)
            output.signed_page(
                f"{folder}/Release.gpg", text, "application/pgp-signature", signer=detached
            )

    @classmethod
    def missing(cls, conduit: MissingConduit, path: str) -> Redirect | None:
        """Redirect to a name with `%3a` where a client asks for a colon.

        Some ask for `a_1%3a2.deb` as it is written, which a server reads as `a_1:2.deb`.
        """
        return Redirect(path.replace(":", "%3a")) if ":" in path else None


def signing_key(options: SigningOptions) -> SigningKey:
    """Return the key that signs."""
    passphrase = options.passphrase.reveal() if options.passphrase is not None else ""
    return SigningKey(options.key.reveal(), passphrase)


def _publish_files(output: Output, units: Iterable[StoredUnit], pool: str) -> None:
    """Write the files of one package, each once.

    Raises Refused for two that want one path.
    """
    written: dict[str, str] = {}
    for path, artifact in all_files(list(units), pool):
        if path not in written:
            written[path] = artifact.sha256
            output.file(path, artifact, media_type(path))
        elif written[path] != artifact.sha256:
            raise Refused(
                f"two files with other bytes would both be `{path}`",
                hint="`pool: digest` has room for both",
            )


def media_type(path: str) -> str:
    """Return the media type of a file of the pool."""
    return _MEDIA_TYPES.get(path.rpartition(".")[2], _BYTES)
