"""Pages for people: what is published, what changed, and why something is missing.

Comes in: documents of a `Browser`. Goes out: HTML that needs no script, from the templates in this
folder. Everything is escaped where it gets into a page, wherever it comes from; a page loads its
own style sheet and nothing else. Must never know: packaging formats; what the words of a format
mean is in the documents already.
"""

from reconciler.serve.pages.browser import Browser
from reconciler.serve.pages.people_pages import PeoplePages

__all__ = ["Browser", "PeoplePages"]
