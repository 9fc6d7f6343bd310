"""Bytes that are missing or changed: found, fetched again from their sources, or named.

Comes in: what is recorded as damaged, or everything that rows refer to. Goes out: the same bytes
under the same digests, and what could not be had. Also removes bytes that no version needs. Never
changes what a repository holds.
"""

__all__: list[str] = []
