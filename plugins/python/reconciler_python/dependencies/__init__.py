"""`dependencies: true`: everything that the projects of a source need, wave by wave.

Comes in: the groups that a source names, and what it asks for. Goes out: all groups, those that are
required with the requirements that pull them in. Must never know: publishing, other importers.

    closure .............. looks at projects, wave by wave, until nothing new is required
    roots ................ what the source itself asks for: where a project comes from
    closure_results ...... what other projects require of a project, and which files that means
    unmet_requirements ... what the source asks for and the index does not have
"""

__all__: list[str] = []
