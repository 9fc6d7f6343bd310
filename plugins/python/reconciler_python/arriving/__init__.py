"""Drafts of manifests: a start, and what the set-ups of other tools amount to.

Comes in: a `Description` (a file or folder of another tool), which is hostile input. Goes out: a
`Draft` that selects the same, with a remark for each option that has no equal. Asks no index. Must
never know: units, decisions, the store.

    starter .............. the first manifests of a team
    settings_files ....... `option = value` in sections, with lines
    draft_parts .......... remarks as they are collected, resources of this plugin
    bandersnatch_lists ... allow and block lists of `bandersnatch.conf`
    bandersnatch_rules ... its other filter plugins
    bandersnatch ......... the mirror as a whole
    package_kinds ........ package types and platforms, as other tools name them
    json_documents ....... JSON, bounded, with lines
    devpi ................ the export of a devpi server
    pypiserver ........... its command line, or its folder
    pulp ................. lists that `pulp python` prints
    nexus ................ the list of its repositories
    translation .......... guesses the tool, calls its reader
"""

__all__: list[str] = []
