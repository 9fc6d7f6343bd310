"""Bytes from elsewhere: pages and files of known digests read through caches, files downloaded
under a declared digest, measured where none is declared, or relayed to whoever waits for them; all
over one fetcher port, for HTTP and for local folders.

Comes in: a `Remote` and URLs. Goes out: `Page` values, verified bytes in a store, and errors that
say what the loop must do. Must never know: what is in a page, what is in a file, repositories,
versions.
"""

from reconciler.remote.cache import PageCache
from reconciler.remote.download import download
from reconciler.remote.fetcher import Fetcher, Response, Stream
from reconciler.remote.fetcher_factory import open_fetcher
from reconciler.remote.file_cache import FileCache, FilePart
from reconciler.remote.file_reader import LARGEST_FILE, FileReader
from reconciler.remote.folder_listing import FOLDER_MEDIA_TYPE
from reconciler.remote.measurement import MeasureCache, Measured, measure
from reconciler.remote.pages import PageReader
from reconciler.remote.rate_limit import Limited, Paced
from reconciler.remote.relay import relay
from reconciler.remote.retry import Retrying
from reconciler.remote.secrets import RedactingFetcher, fingerprint, register_secrets, reveal

__all__ = [
    "FOLDER_MEDIA_TYPE",
    "LARGEST_FILE",
    "Fetcher",
    "FileCache",
    "FilePart",
    "FileReader",
    "Limited",
    "MeasureCache",
    "Measured",
    "Paced",
    "PageCache",
    "PageReader",
    "RedactingFetcher",
    "Response",
    "Retrying",
    "Stream",
    "download",
    "fingerprint",
    "measure",
    "open_fetcher",
    "register_secrets",
    "relay",
    "reveal",
]
