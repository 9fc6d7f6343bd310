"""Access: what a client may read or send, by the rules of a publication.

Comes in: the rules of `access` and an `Authorization` header. Goes out: a grant, or none. Must
never know: HTTP beside that header, repositories, any packaging format.
"""

__all__: list[str] = []
