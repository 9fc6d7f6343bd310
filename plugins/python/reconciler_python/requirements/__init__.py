"""Requirements of requirement files and lock files.

Comes in: files beside the manifests. Goes out: `Requirements`, asked by project. Must never know:
the index, the rest of a source's options.

    requirement_options .. files as an option, read once
    requirement_files .... requirements files (requirement_lines: their text)
    lock_files ........... pylock, uv, Poetry, PDM, Pipenv
    requirements ......... the model of what is asked for
    environments ......... marker environments, and whether a marker holds in one
"""

__all__: list[str] = []
