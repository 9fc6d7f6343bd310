"""Bytes from elsewhere: pages read through a cache, files downloaded under a declared digest, both over one fetcher port.

Comes in: a `Remote` and URLs. Goes out: `Page` values, verified bytes in a store, and errors that say what the loop must do.
Must never know: what is in a page, what is in a file, repositories, versions.
"""

from reconciler.remote.cache import PageCache
from reconciler.remote.download import download
from reconciler.remote.limit import Limited, Paced
from reconciler.remote.opening import open_fetcher
from reconciler.remote.pages import PageReader
from reconciler.remote.port import Fetcher, Response, Stream
from reconciler.remote.retry import Retrying
from reconciler.remote.secrets import Concealed, fingerprint, reveal

__all__ = [
    "Concealed",
    "Fetcher",
    "Limited",
    "Paced",
    "PageCache",
    "PageReader",
    "Response",
    "Retrying",
    "Stream",
    "download",
    "fingerprint",
    "open_fetcher",
    "reveal",
]
