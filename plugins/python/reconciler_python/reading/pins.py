"""Specifiers that name one version."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet


def pins_version(specifiers: SpecifierSet | None) -> bool:
    """Return True if a specifier names one version: `==4.2`, and not `==4.*`."""
    return specifiers is not None and any(
        specifier.operator in ("==", "===") and not specifier.version.endswith(".*")
        for specifier in specifiers
    )
