"""What the words of a manifest mean: names, versions, wheel tags, Pythons, files.

Comes in: the texts of options. Goes out: matchers that say whether a file is meant. Must never
know: options, filters, decisions.

    rules ............ requirement strings, name globs, filenames
    wheel_tags ....... `platforms`, `pythons` and `abis`: tags of wheels, and families of them
    python_versions .. `requiresPython`: which Pythons a file can run on
    single_files ..... the entries of `files`
    subjects ......... what a user asks about: a filename, a project, a requirement
"""

__all__: list[str] = []
