"""Matchers for the words of a manifest: names, versions, wheel tags, Pythons, files.

Comes in: the texts of options. Goes out: matchers that say whether a file is meant. Must never
know: options, filters, decisions.

    rules ............ requirement strings, name globs, filenames
    wheel_tags ....... `platforms`, `pythons` and `abis`: tags of wheels, and families of them
    python_versions .. `requiresPython`: Pythons that can run a file
    single_files ..... the entries of `files`
    subjects ......... subjects of a question: a filename, a project, a requirement
"""

__all__: list[str] = []
