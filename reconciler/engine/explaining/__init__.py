"""Why a file is in a repository, or not.

Answered by the same code that decides in a plan; nothing is compared and nothing is recorded.
"""

__all__: list[str] = []
