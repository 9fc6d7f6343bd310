"""Lays a version out as an apt repository.

dists/<suite>/Release                                           the suite, with digests
dists/<suite>/InRelease, Release.gpg                            the same, signed
dists/<suite>/<component>/binary-<architecture>/Packages[.gz|.xz]
dists/<suite>/<component>/source/Sources[.gz|.xz]
dists/<suite>/.../by-hash/SHA256/<digest>                       each of these under its digest
pool/...                                                        the files
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from reconciler.plugin import (
    Metadata,
    Output,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    Refused,
    StoredUnit,
)
from reconciler_deb.options.publication_options import PublicationOptions, SigningOptions
from reconciler_deb.publishing.indexes import Indexes, IndexName, entry_of
from reconciler_deb.publishing.paths import all_files
from reconciler_deb.publishing.release import (
    ReleaseFacts,
    by_hash_path,
    compressed,
    render_release,
)
from reconciler_deb.publishing.signing import ReleaseSigner, SigningKey
from reconciler_deb.reading.units import PACKAGE, SOURCE_PACKAGE

_MEDIA_TYPES: Final = {
    "deb": "application/vnd.debian.binary-package",
    "udeb": "application/vnd.debian.binary-package",
    "dsc": "text/plain",
}
_BYTES: Final = "application/octet-stream"
# A client that has read a Release may ask for the indexes of that one for as long.
_LINGER: Final = "1d"


class AptPublisher(Publisher[PublicationOptions]):
    """Publishes an apt repository. The result depends on the version and the options alone."""

    revision = 1

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("deb", "apt repository", (PACKAGE, SOURCE_PACKAGE), ">=2.0,<3")

    def publish(
        self, conduit: PublishConduit[PublicationOptions], config: PluginCallConfiguration
    ) -> None:
        """Write the files of changed packages, then all indexes."""
        options = conduit.options
        for name in conduit.changed_groups():
            units = conduit.units(name)
            with conduit.group(name) as output:
                _publish_files(output, units, options.pool)
        indexes = Indexes(options.architectures)
        for name in conduit.groups():
            for unit in conduit.units(name):
                indexes.add(unit, entry_of(unit, options.pool))
        key = signing_key(options.signing)
        with conduit.whole_repository() as output:
            for suite in indexes.suites():
                bodies = indexes.of_suite(suite)
                files = _publish_indexes(output, suite, bodies)
                facts = release_facts(suite, options, conduit.version.recorded_at)
                text = render_release(facts, bodies, files)
                _publish_release(output, suite, text, key=key)


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


def _publish_indexes(
    output: Output, suite: str, bodies: Mapping[IndexName, bytes]
) -> dict[str, bytes]:
    """Write the indexes of a suite, each under its name and its digest; return them by path."""
    files: dict[str, bytes] = {}
    by_hash: set[str] = set()
    for name, body in bodies.items():
        for path, content, type_ in compressed(name.path, body):
            files[path] = content
            output.page(f"dists/{suite}/{path}", content, type_)
            under_digest = by_hash_path(path, content)
            if under_digest not in by_hash:
                by_hash.add(under_digest)
                output.page(
                    f"dists/{suite}/{under_digest}", content, _BYTES, immutable=True, linger=_LINGER
                )
    return files


def _publish_release(output: Output, suite: str, text: bytes, *, key: SigningKey | None) -> None:
    """Write a Release, and what signs it: `InRelease`, and `Release.gpg` for older clients."""
    folder = f"dists/{suite}"
    output.page(f"{folder}/Release", text, "text/plain")
    if key is not None:
        clearsigned, detached = ReleaseSigner(key, "clearsigned"), ReleaseSigner(key, "detached")
        output.signed_page(f"{folder}/InRelease", text, "text/plain", signer=clearsigned)
        output.signed_page(
            f"{folder}/Release.gpg", text, "application/pgp-signature", signer=detached
        )


def signing_key(options: SigningOptions | None) -> SigningKey | None:
    """Return the key that signs; None where nothing is signed."""
    if options is None:
        return None
    passphrase = options.passphrase.reveal() if options.passphrase is not None else ""
    return SigningKey(options.key.reveal(), passphrase)


def release_facts(suite: str, options: PublicationOptions, moment: datetime) -> ReleaseFacts:
    """Return the facts of a Release that is made of a version at its moment."""
    until = moment + options.valid_for if options.valid_for is not None else None
    return ReleaseFacts(suite, options.origin, options.label, options.description, moment, until)
