"""Environment markers (PEP 508), evaluated in the environments that a source declares.

An environment need not be complete. A variable that it leaves out counts as true, so that no file
is left out that may be needed; without any environment that is so for every comparison but those
about extras, which are always exact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

from packaging.markers import Marker
from packaging.version import Version
from pydantic import ConfigDict, Field, model_validator

from reconciler.plugin import OptionFault, Options

_PYTHON_VERSION = re.compile(r"[0-9]+\.[0-9]+")
_SYSTEMS: Final = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}
_PLATFORMS: Final = {system: platform for platform, system in _SYSTEMS.items()}
_IMPLEMENTATIONS: Final = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}

# A marker is turned into its normal text by `str`: values in quotes, variables under their names of
# today, one space between.
_OPERAND = r"""(?:"[^"]*"|'[^']*'|[a-z_]+)"""
_COMPARISON = re.compile(rf"({_OPERAND}) (?:===|~=|==|!=|<=|>=|<|>|not in|in) ({_OPERAND})")
_ABOUT_EXTRAS: Final = frozenset({"extra", "extras", "dependency_groups"})
_HOLDS: Final = 'extra != "?"'  # no extra's name


class MarkerEnvironment(Options):
    """An environment under its marker variables (PEP 508).

    What is left out counts as true wherever a marker asks for it.
    """

    model_config = ConfigDict(alias_generator=None)

    python_version: str = Field(description="`3.12`.")
    python_full_version: str | None = Field(
        default=None, description="`3.12.4`; by default the first of `python_version`."
    )
    sys_platform: str | None = Field(default=None, description="`linux`, `darwin`, `win32` ...")
    platform_system: str | None = Field(
        default=None, description="`Linux`, `Darwin`, `Windows` ..."
    )
    os_name: str | None = Field(default=None, description="`posix` or `nt`.")
    platform_machine: str | None = Field(
        default=None, description="`x86_64`, `aarch64`, `arm64`, `AMD64` ...; by default any."
    )
    platform_release: str | None = Field(default=None, description="By default any.")
    platform_version: str | None = Field(default=None, description="By default any.")
    platform_python_implementation: str | None = Field(
        default=None, description="`CPython`, `PyPy`; by default `CPython`."
    )
    implementation_name: str | None = Field(
        default=None, description="`cpython`, `pypy`; by default `cpython`."
    )
    implementation_version: str | None = Field(
        default=None, description="By default that of Python."
    )

    @model_validator(mode="after")
    def _complete(self) -> MarkerEnvironment:
        _check_python(self.python_version, self.python_full_version)
        if self.sys_platform is None and self.platform_system not in _PLATFORMS:
            raise OptionFault(
                "an environment names its platform",
                hint="`sys_platform: linux` (or `darwin`, `win32`), or `platform_system: Linux`",
            )
        return self

    @property
    def variables(self) -> dict[str, str]:
        """Return all variables: written and derived ones, none of this machine."""
        written = {name: value for name, value in self if value is not None}
        platform = self.sys_platform or _PLATFORMS[str(self.platform_system)]
        derived = {"sys_platform": platform, "os_name": "nt" if platform == "win32" else "posix"}
        if platform in _SYSTEMS:
            derived["platform_system"] = _SYSTEMS[platform]
        full = self.python_full_version or f"{self.python_version}.0"
        name = (
            self.implementation_name or (self.platform_python_implementation or "cpython").lower()
        )
        derived |= {"python_full_version": full, "implementation_name": name}
        if name in _IMPLEMENTATIONS:
            derived["platform_python_implementation"] = _IMPLEMENTATIONS[name]
        if name == "cpython":
            derived["implementation_version"] = full
        return derived | written


def marker_environments(declared: Mapping[str, MarkerEnvironment]) -> list[dict[str, str]]:
    """Return declared environments as marker variables, by name.

    Empty: every environment counts.
    """
    return [declared[name].variables for name in sorted(declared)]


def python_texts(declared: Mapping[str, MarkerEnvironment]) -> list[str]:
    """Return the Pythons of the declared environments, by name.

    `3.12` means every 3.12.x; `==3.12.4` is returned where the full version is declared.
    """
    environments = [declared[name] for name in sorted(declared)]
    return [
        f"=={environment.python_full_version}"
        if environment.python_full_version
        else environment.python_version
        for environment in environments
    ]


def marker_holds(
    marker: Marker | str | None,
    environments: Sequence[Mapping[str, str]],
    extras: frozenset[str] = frozenset(),
) -> bool:
    """Return True if the marker holds in one of the environments.

    With no extra or one of `extras` (normalised). None always holds. Without environments: in any
    that there may be. A comparison that has no meaning (`platform_machine ~= "x"`) holds.
    """
    if marker is None:
        return True
    text = str(marker)
    if not environments:
        return _holds(text, (), extras)
    return any(
        _holds(text, tuple(sorted(environment.items())), extras) for environment in environments
    )


@lru_cache(maxsize=65536)
def _holds(text: str, variables: tuple[tuple[str, str], ...], extras: frozenset[str]) -> bool:
    environment = dict(variables)
    marker = _reduced(text, frozenset(environment))
    values: dict[str, str | AbstractSet[str]] = {
        **environment,
        "extras": extras,
        "dependency_groups": frozenset[str](),
    }
    try:
        return any(marker.evaluate({**values, "extra": extra}) for extra in ("", *sorted(extras)))
    except (
        ValueError
    ):  # it compares what cannot be compared, or a number of more digits than Python reads
        return True


@lru_cache(maxsize=16384)
def _reduced(text: str, variables: frozenset[str]) -> Marker:
    """Return the marker with each comparison about an unknown variable replaced by a true one.

    Raises InvalidMarker.
    """
    answerable = variables | _ABOUT_EXTRAS

    def kept(match: re.Match[str]) -> str:
        variables = [operand for operand in match.groups() if operand[0] not in "\"'"]
        return match[0] if answerable.issuperset(variables) else _HOLDS

    return Marker(_COMPARISON.sub(kept, str(Marker(text))))


def _check_python(version: str, full: str | None) -> None:
    if _PYTHON_VERSION.fullmatch(version) is None:
        raise OptionFault(
            f"`{version}` is no `python_version`",
            hint=(
                'major and minor version in quotes, `"3.12"`; the rest belongs into'
                " `python_full_version`"
            ),
        )
    if full is None:
        return
    try:
        parsed = Version(full)
    except ValueError:
        raise OptionFault(
            f"`{full}` is no `python_full_version`", hint='such as `"3.12.4"`'
        ) from None
    if f"{parsed.major}.{parsed.minor}" != version:
        raise OptionFault(
            f"`python_full_version: {full}` is no Python {version}",
            hint="both name the same Python",
        )
