"""Distributions as an index lists them, and what a source and filters decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.plugin import ActiveFilter, Artifact, Decision, Unit
from reconciler_python.content import Distribution
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ENDINGS = {"wheel": "-py3-none-any.whl", "sdist": ".tar.gz", "egg": "-py2.7.egg"}
WHEELS = {
    "linux": "-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "windows": "-cp311-cp311-win_amd64.whl",
    "stable": "-cp38-abi3-macosx_11_0_arm64.whl",
    "pure": "-py3-none-any.whl",
    "both": "-py2.py3-none-any.whl",
}
VERSIONS = ["4.2", "5.0rc1", "5.0", "5.0.1", "5.1.dev1", "6.0a1", "6.0"]


def unit(
    version: str,
    ending: str = "",
    *,
    package_type: str = "wheel",
    name: str = "django",
    size: int | None = None,
    **metadata: Any,
) -> Unit:
    """One file. `ending`: of its filename, after the version; by the package type where it is
    empty.
    """
    filename = f"{name}-{version}{ending or ENDINGS[package_type]}"
    plain = {"name": name, "version": version, "packageType": package_type, **metadata}
    return Unit("python.distribution", filename, plain, [Artifact(filename, "a" * 64, size)])


def house_rules(name: str = "house-rules", **keys: Any) -> ActiveFilter:
    return ActiveFilter(name, FilterOptions.model_validate(keys), "filters.yaml:1:1")


def decide(
    units: Sequence[Unit], *filters: ActiveFilter, now: datetime = NOW, **keys: Any
) -> list[Decision]:
    """`keys`: of the source."""
    name = units[0].metadata["name"] if units else "django"
    return list(
        Distribution.select(name, units, SelectionOptions.model_validate(keys), filters, now)
    )


def kept(units: Sequence[Unit], *filters: ActiveFilter, **keys: Any) -> list[str]:
    """Filenames of what is in, in the order given."""
    return [answer.unit.key for answer in decide(units, *filters, **keys) if answer.accepted]


def versions_in(versions: Sequence[str], *filters: ActiveFilter, **keys: Any) -> list[str]:
    """The same, of one wheel for each version."""
    return [
        answer.unit.metadata["version"]
        for answer in decide([unit(version) for version in versions], *filters, **keys)
        if answer.accepted
    ]


def wheels() -> list[Unit]:
    """Return one release: a wheel for each of `WHEELS`, an sdist and an egg."""
    return [
        *(unit("5.0", ending) for ending in WHEELS.values()),
        unit("5.0", package_type="sdist"),
        unit("5.0", package_type="egg"),
    ]


def short_names(filenames: list[str]) -> list[str]:
    """Return short names of wheels; other distributions by their extension."""
    short = {ending: name for name, ending in WHEELS.items()} | {
        ".tar.gz": "sdist",
        "-py2.7.egg": "egg",
    }
    return [short[filename.removeprefix("django-5.0")] for filename in filenames]
