"""Remote: bytes from elsewhere.

Pages and files of known digests are read through caches; files are downloaded under a declared
digest, measured where none is declared, or relayed to a client; all over one fetcher port, for HTTP
and for local folders.

Comes in: a `Remote` and URLs. Goes out: `Page` values, verified bytes in a store, and errors that
say what the loop must do. Must never know: what is in a page, what is in a file, repositories,
versions.

A request passes `retries`, `rate_limit` and `http_fetcher` (or `local_fetcher`; `http_sender` for
what is sent), which asks `egress` where credentials go, which hosts an answer may come from and
which redirects are followed, `addresses` what a connection may lead to, and `tls` which
certificates are trusted. `mirrors` are asked first for files with a declared digest. `url_secrets`
says what of a URL, and of a page, may be written to disk.
"""

from reconciler.remote.accepted_types import AcceptedTypes
from reconciler.remote.credentials import Credentials, SecretValue
from reconciler.remote.download import download
from reconciler.remote.fetcher import Fetcher, Response, StreamedResponse, Trust
from reconciler.remote.fetcher_factory import open_fetcher, open_sender, sends_credentials
from reconciler.remote.file_cache import FileCache, FilePart
from reconciler.remote.file_reader import LARGEST_FILE, FileReader
from reconciler.remote.folder_listing import FOLDER_MEDIA_TYPE
from reconciler.remote.measurement import Measurement, MeasurementCache, measure
from reconciler.remote.mirrors import MIRROR_FAILURES, Mirrors
from reconciler.remote.page_budget import PAGE_MEMORY, PageBudget
from reconciler.remote.page_cache import PageCache
from reconciler.remote.page_reader import PageReader
from reconciler.remote.rate_limit import ConcurrencyLimiter, RateLimiter, Turns
from reconciler.remote.relay import relay
from reconciler.remote.retries import RetryingFetcher
from reconciler.remote.sending import Answer, RequestBody, Sender
from reconciler.remote.url_secrets import storable_url
from reconciler.remote.urls import joined_url

__all__ = [
    "FOLDER_MEDIA_TYPE",
    "LARGEST_FILE",
    "MIRROR_FAILURES",
    "PAGE_MEMORY",
    "AcceptedTypes",
    "Answer",
    "ConcurrencyLimiter",
    "Credentials",
    "Fetcher",
    "FileCache",
    "FilePart",
    "FileReader",
    "Measurement",
    "MeasurementCache",
    "Mirrors",
    "PageBudget",
    "PageCache",
    "PageReader",
    "RateLimiter",
    "RequestBody",
    "Response",
    "RetryingFetcher",
    "SecretValue",
    "Sender",
    "StreamedResponse",
    "Trust",
    "Turns",
    "download",
    "joined_url",
    "measure",
    "open_fetcher",
    "open_sender",
    "relay",
    "sends_credentials",
    "storable_url",
]
