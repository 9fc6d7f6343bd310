"""Charsets of pages: the encodings that browsers know, and none of the others that Python has.

Python also decodes `punycode` and `idna` (in quadratic time), `unicode-escape` and `utf-7` (which
give halves of characters), `base64` (which gives no text): no page has them.
"""

from __future__ import annotations

import codecs

DEFAULT = "utf-8"

# https://encoding.spec.whatwg.org/#names-and-labels, under Python's names
_NAMED = """
    utf-8 utf-16 utf-16-le utf-16-be ascii cp866 koi8-r koi8-u mac-roman mac-cyrillic gb2312 gbk
    gb18030 big5 big5hkscs euc_jp iso2022_jp shift_jis cp932 euc_kr cp949 cp874 tis-620
"""
_WEB = frozenset(
    [
        *_NAMED.split(),
        *(f"iso8859-{part}" for part in range(1, 17)),
        *(f"cp125{page}" for page in range(9)),
    ]
)


def charset_of(label: str) -> str:
    """Return the encoding that a label means, under Python's name; utf-8 for what is none."""
    try:
        name = codecs.lookup(label.strip().strip('"')).name
    except (LookupError, ValueError):
        return DEFAULT
    return name if name in _WEB else DEFAULT
