"""Field types with their messages: names, URLs, paths, rates, shares."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from reconciler.manifest.scalars import shown
from reconciler.model import (
    ANY_HOST,
    IMMEDIATE,
    LATEST,
    ON_DEMAND,
    SAME_ORIGIN,
    STREAMED,
    Digest,
    base_url,
    safe_path,
)
from reconciler.plugin import OptionFault

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62})")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,252})")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._~-]*")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%")
_RATE = re.compile(r"([1-9]\d{0,5})/([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_LOCAL = ("/", "./", "../")
_POLICIES = (IMMEDIATE, ON_DEMAND, STREAMED)
_REDIRECTS = (SAME_ORIGIN, ANY_HOST)
_REDIRECTS_HINT = "`same-origin`, a list of host names such as `[files.example.org]`, or `any`"
_HOST = re.compile(r"([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or ".." in text:
        raise OptionFault(
            f"`{shown(text)}` cannot be a name",
            hint=(
                "1 to 63 lower-case letters, digits, `-`, `_` or `.`, a letter or digit first, no"
                " `..`"
            ),
        )
    return text


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise OptionFault(
            f"`{shown(text)}` cannot be a label's key",
            hint="letters, digits, `-`, `_`, `.` and `/`, a letter or digit first",
        )
    return text


def _header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise OptionFault("expects the name of an HTTP header")
    return text


def _remote_url(text: str) -> str:
    """Accept an HTTP URL, a `file:` URL, or a path that begins with `/`, `./` or `../`."""
    if text.startswith("file:"):
        return _file_url(text)
    if text.startswith(_LOCAL):
        if not text.isprintable():
            raise OptionFault("expects a path")
        return text
    return _web_url(
        text,
        instead="use `auth`, with `{env: NAME}` or `{file: path}` for the password",
        expected=(
            "`https://host/path/`, `file:///folder/`, or a path that begins with `/`, `./` or `../`"
        ),
    )


def _upload_url(text: str) -> str:
    return _web_url(
        text,
        instead="use `auth`, with `{env: NAME}` or `{file: path}` for the secret",
        expected="`https://host/path/`",
    )


def _file_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        # other bytes than UTF-8 could not be shown, nor checked: the path read would be another one
        usable = not parts.netloc and unquote(parts.path, errors="strict").isprintable()
    except ValueError:
        usable = False
    if not usable or not text.startswith("file:///") or " " in text or "\\" in text:
        raise OptionFault(
            "expects a URL", hint="`file:///` and an absolute path in UTF-8, without a host"
        )
    if parts.query or parts.fragment:
        raise OptionFault(
            "a URL here has no `?` and no `#` part",
            hint="write `%3F` or `%23` where they belong to a name",
        )
    return text


def _proxy(text: str) -> str:
    return _web_url(
        text, "a proxy that asks for a password is not supported yet", "`http://host:port`"
    )


def _web_url(text: str, instead: str, expected: str) -> str:
    """Accept an HTTP URL without credentials; messages never repeat the text.

    `instead`: hint for a URL with credentials. `expected`: hint for a text that is not a URL.
    """
    try:
        parts = urlsplit(text)
        usable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        )
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text or "\\" in text:
        raise OptionFault("expects a URL", hint=expected)
    if "@" in parts.netloc:
        raise OptionFault("a URL must not hold a user name or password", hint=instead)
    if parts.query or parts.fragment:
        raise OptionFault("a URL here has no `?` and no `#` part")
    return text


def _mirror(text: str) -> str:
    return _web_url(
        text,
        instead="a mirror gets the credentials of its remote, if it is of the same origin",
        expected="`https://host/path/`, in the place of the remote's own URL",
    )


def _base_url(text: str) -> str:
    address = base_url(text)
    if address is None:
        raise OptionFault(
            "expects the http or https URL under which clients find the publication",
            hint="such as https://packages.example.org/team/: letters, digits, `.`, `_`, `~`, `-`,"
            " `/`",
        )
    return address


def _policy(text: str) -> str:
    if text not in _POLICIES:
        raise OptionFault(
            f"unknown policy `{shown(text)}`", hint="use `immediate`, `on-demand` or `streamed`"
        )
    return text


def _user(text: str) -> str:
    if not text or not text.isprintable() or ":" in text:
        raise OptionFault(
            "expects a user name",
            hint="printable characters without `:`, which HTTP cannot carry in a user name",
        )
    return text


def _rate(value: object) -> float:
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise OptionFault(
            "expects a rate",
            hint="requests per second, minute or hour: `50/s`, `600/m` or `1000/h`",
        )
    return int(match[1]) / _SECONDS[match[2]]


def _share(value: object) -> float | int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) > 100:
        raise OptionFault(
            "expects a share or a whole number", hint="`30%` of the units, or `12` of them"
        )
    return float(match[1]) / 100


def _version(value: object) -> str | int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if value == LATEST:
        return LATEST
    try:
        if isinstance(value, str) and value.startswith("sha256:"):
            return str(Digest.parse(value))
    except ValueError:
        pass
    raise OptionFault(
        "expects a version",
        hint="`latest`, a number without quotes, or `sha256:` and 64 hex digits",
    )


RESERVED_PATHS = ("healthz", "readyz", "metrics", "api")
"""First segments of paths that no publication may have: the server's own."""


def _url_path(text: str) -> str:
    if not safe_path(text) or not all(_SEGMENT.fullmatch(part) for part in text.split("/")):
        raise OptionFault(
            f"`{shown(text)}` cannot be served",
            hint=(
                "segments of letters, digits, `.`, `_`, `~` and `-`, joined by `/`, no slash at"
                " either end, none beginning with `.`, `-` or `~`"
            ),
        )
    first = text.partition("/")[0]
    if first in RESERVED_PATHS:
        raise OptionFault(
            f"`{shown(text)}` cannot be served: the server keeps `/{first}` to itself",
            hint=f"reserved are `{'`, `'.join(RESERVED_PATHS)}`, and all that begins with `-`",
        )
    return text


def _pattern(pattern: re.Pattern[str]) -> Any:
    return Field(json_schema_extra={"pattern": f"^{pattern.pattern}$"})


def _redirects(value: object) -> str | tuple[str, ...]:
    if isinstance(value, str) and value in _REDIRECTS:
        return value
    if not isinstance(value, list) or not value:
        raise OptionFault("expects where redirects may lead", hint=_REDIRECTS_HINT)
    return tuple(_redirect_host(host) for host in value)


def _redirect_host(value: object) -> str:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise OptionFault(
            f"`{shown(str(value))}` is no host name",
            hint="`files.example.org` or `files.example.org:8443`, without `https://` and a path",
        )
    return value.lower()


def _cidr(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise OptionFault(
            f"`{shown(text)}` is no network",
            hint="an address and the length of its prefix: `10.1.0.0/16`, `fd00:1::/32`",
        ) from None


Name = Annotated[str, AfterValidator(_name), _pattern(_NAME)]
LabelKey = Annotated[str, AfterValidator(_label)]
Header = Annotated[str, AfterValidator(_header)]
BaseUrl = Annotated[
    str,
    AfterValidator(_base_url),
    Field(json_schema_extra={"format": "uri", "pattern": r"^https?://[^?#@\s]+$"}),
]
MirrorUrl = Annotated[
    str,
    AfterValidator(_mirror),
    Field(json_schema_extra={"format": "uri", "pattern": r"^https?://[^?#@\s]+$"}),
]
RemoteUrl = Annotated[
    str,
    AfterValidator(_remote_url),
    Field(
        json_schema_extra={"format": "uri-reference", "pattern": r"^(https?://|file:///|\.{0,2}/)"}
    ),
]
WebUrl = Annotated[
    str,
    AfterValidator(_upload_url),
    Field(json_schema_extra={"format": "uri", "pattern": r"^https?://[^?#@\s]+$"}),
]
Proxy = Annotated[
    str, AfterValidator(_proxy), Field(json_schema_extra={"format": "uri", "pattern": "^https?://"})
]
Policy = Annotated[str, AfterValidator(_policy), Field(json_schema_extra={"enum": list(_POLICIES)})]
User = Annotated[str, AfterValidator(_user)]
Rate = Annotated[
    float,
    BeforeValidator(_rate),
    WithJsonSchema({"type": "string", "pattern": f"^{_RATE.pattern}$"}),
]
Share = Annotated[
    int | float,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,6})?%$"},
            ]
        }
    ),
]
Version = Annotated[
    str | int,
    BeforeValidator(_version),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": LATEST},
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
            ]
        }
    ),
]
Redirects = Annotated[
    str | tuple[str, ...],
    BeforeValidator(_redirects),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(_REDIRECTS)},
                {
                    "type": "array",
                    "items": {"type": "string", "pattern": f"^{_HOST.pattern}$"},
                    "minItems": 1,
                },
            ]
        }
    ),
]
Cidr = Annotated[str, AfterValidator(_cidr)]
UrlPath = Annotated[str, AfterValidator(_url_path)]
