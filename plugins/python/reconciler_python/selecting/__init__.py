"""Selection: a decision with its reason for each file. Pure: order and history do not matter.

Comes in: units of one project, options, filters. Goes out: decisions with reasons, and the steps
that led to them. Must never know: dependencies of packages, pages.

    filter_checks ...... `FILTER_CHECKS`: the table of the keys of a Filter; a new rule begins here
    source_checks ...... what a source takes: `include`, `files`, `requirements`
    cooldown ........... `minAge`, which speaks after the checks
    releases ........... keys that need a whole project: `if-nothing-else`, then `latest`
    selection .......... all of them together, for one project
    checks ............. one key, one file: the base of all checks
    project_filter ..... projects that a filter keeps out by name alone
    marks .............. what a repository says itself: yanked releases, the status of projects
    evidence_facts ..... fetches licences and attestations, for the files that all else lets in
"""

__all__: list[str] = []
