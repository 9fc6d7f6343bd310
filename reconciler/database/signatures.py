"""Signatures that publications show: made once for each text and key, and kept with the pages."""

from __future__ import annotations

import gzip
import zlib

from sqlalchemy import bindparam, delete, select

from reconciler.database.bulk import replacing
from reconciler.database.schema import page, signature
from reconciler.database.session import Reading
from reconciler.model import Digest

_SIGNED = (
    select(page.c.gzip)
    .join(signature, signature.c.page == page.c.digest)
    .where(signature.c.text == bindparam("text"), signature.c.signer == bindparam("signer"))
)
WRITE_SIGNATURES = replacing(signature, "text", "signer", "page")
REMOVE_UNUSED_SIGNATURES = delete(signature).where(signature.c.page.not_in(select(page.c.digest)))


class SignatureReads(Reading):
    """Reads of kept signatures."""

    def signed(self, text: Digest, signer: str) -> bytes | None:
        """Return the page in which `signer` signed a text; None where none is kept.

        A damaged one is none: the text is signed anew.
        """
        with self._reading.connect() as connection:
            values = {"text": text.raw, "signer": signer}
            body = connection.execute(_SIGNED, values).scalar()
        try:
            return None if body is None else gzip.decompress(body)
        except (OSError, EOFError, zlib.error):
            return None
