"""In, or out because. Pure: neither order nor history matters.

rules ............ requirement strings, name globs, filenames: who is meant
targets .......... tags of wheels and families of them
interpreters ..... which Pythons a file can run on
single_files ..... the entries of `files`
checks ........... one key, one file (source_check, filter_checks, cooldown)
releases ......... what takes a whole project to be answered
selection ........ all of them together
prefilter ........ projects whose name alone says that nothing passes
subjects ......... what somebody means who asks for an explanation
"""

__all__: list[str] = []
