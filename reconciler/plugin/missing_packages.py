"""Python packages that a plugin needs and that are not installed.

Many modules are imported only when they are needed, so a package that is missing shows in the
middle of a run. That is no fault of the plugin: the installation is incomplete.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import distributions
from importlib.util import find_spec

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def missing_package_hint(error: BaseException) -> str | None:
    """Return how to install the package that an import lacks; None for every other error.

    A module of Python, or of a package that is installed, is none: there the import is wrong.
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    module = error.name.partition(".")[0]
    if module in sys.stdlib_module_names or _is_installed(module):
        return None
    return _hint(module)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # it was made by a program, and is there
        return True


@lru_cache(maxsize=64)  # a thousand groups may fail for one reason
def _hint(module: str) -> str:
    """Name the package only where an installed one requires it: the name may be a slip."""
    for owner, requirement in _required():
        if canonicalize_name(requirement.name) == canonicalize_name(module):
            package = f"{requirement.name}{requirement.specifier}"
            return (
                f"the installation is incomplete: `{owner}` requires `{requirement.name}`, which"
                f" is not installed; `python -m pip install '{package}'`, with the Python that runs"
                " `reconciler`, installs it"
            )
    return (
        f"the installation is incomplete: no installed package has the module `{module}`; install"
        " the package of the plugin again, with everything that it requires, for the Python that"
        " runs `reconciler`"
    )


def _required() -> Iterator[tuple[str, Requirement]]:
    """Yield the requirements of all installed packages, each with the package that has it."""
    for distribution in distributions():
        with suppress(Exception):  # an unrelated package may be damaged
            yield from [
                (distribution.name, Requirement(text)) for text in distribution.requires or ()
            ]
