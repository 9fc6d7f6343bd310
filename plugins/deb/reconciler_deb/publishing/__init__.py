"""Publishing: units of a version -> indexes, Release files and the pool.

    paths .......... where a file of a unit lies
    indexes ........ which indexes list a unit, and with which text; an index of such entries
    release ........ the Release of a suite
    signing ........ signatures by gpg
    apt_publisher .. what the core calls

All but the last two are pure functions of units and options.
"""

__all__: list[str] = []
