"""The manifests that a team starts with."""

from __future__ import annotations

from reconciler.plugin import Draft, DraftResource

NAME = "team"


def starter() -> Draft:
    """Return a remote, a repository and a publication, with comments."""
    remote = DraftResource(
        "Remote",
        "pypi",
        {"type": "python", "index": "pypi"},
        comment="Where content comes from.",
        comments={"index": "a well-known index; `url: https://.../simple/` names any other"},
    )
    repository = DraftResource(
        "Repository",
        NAME,
        {
            "type": "python",
            "sources": [
                {"upload": {"names": [f"{NAME}-*"]}},
                {
                    "remote": {
                        "name": "pypi",
                        "include": ["packaging>=25", "typing-extensions"],
                        "filter": {"yanked": "drop", "latest": 5},
                    }
                },
            ],
        },
        comment=(
            "What is in: every change makes a numbered, immutable version. The first source that"
            " has a name owns it."
        ),
        comments={
            "sources.0.upload.names": "your own names: no other source ever brings them",
            "sources.1.remote.include": "nothing else comes in; `requirements: [../FILE]` reads"
            " requirement and lock files",
            "sources.1.remote.filter.latest": "releases of each project",
        },
    )
    publication = DraftResource(
        "Publication",
        NAME,
        {"repository": NAME, "path": NAME},
        comment=f"What clients see: pip install --index-url http://127.0.0.1:8000/{NAME}/simple/",
    )
    return Draft(NAME, "Packages of the team.", [remote, repository, publication])
