"""Validation of one plugin, in this order; the first failed check disables the plugin.

1. It can be imported.
2. Its entry point returns (class, dict).
3. The class derives from the base class of its kind.
4. Its metadata is well-formed.
5. Its API range includes our version.
6. Its option models are models.

The registry checks what concerns several plugins: duplicate IDs and undefined content types.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from reconciler.logs import include_package
from reconciler.plugin.entry_points import Advertised
from reconciler.plugin.foreign_calls import Unsound, run
from reconciler.plugin.kinds import KINDS
from reconciler.plugin.metadata import Metadata
from reconciler.plugin.options import Options

API_VERSION = "1.2.0"
"""The version of everything that `reconciler.plugin` exports (semver): what is added raises the
minor, what goes or changes the major.
"""

# names folders, and is written in manifests without quotes
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plugin:
    """Validated plugin.

    `reason`: why it is disabled; then `cls` and `metadata` may be None. `config`: its plugin-level
    configuration, overlaid with the installation's settings. `refused`: True if no command starts
    while this plugin is installed.
    """

    kind: str
    id: str
    distribution: str
    distribution_version: str
    origin: str
    cls: type | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    metadata: Metadata | None = None
    reason: str = ""
    refused: bool = False

    @property
    def enabled(self) -> bool:
        """True if the plugin can be used."""
        return not self.reason


def judge(advertised: Advertised, configs: Mapping[str, Mapping[str, Any]]) -> Plugin:
    """Import it and say what it is. `configs`: by ID, what goes over a plugin's own configuration,
    key by key.
    """
    one = advertised
    plugin = Plugin(one.kind, one.name, one.distribution, one.version, one.origin)
    try:
        cls, config = _class_and_configuration(one)
        include_package(cls.__module__.partition(".")[0])
        metadata = (
            None
            if one.kind == "content-type"
            else run(lambda: _metadata(cls), "its metadata is malformed")
        )
        id = (
            metadata.id
            if metadata
            else run(lambda: _content_type_id(cls), "its attributes are malformed")
        )
        plugin = replace(plugin, id=id, metadata=metadata)
        if metadata is not None:
            _check_api(metadata.api)
        run(lambda: _check_attributes(one.kind, cls), "its attributes are malformed")
    except Unsound as fault:
        logger.info("the %s `%s` is disabled: %s", plugin.kind, plugin.id, fault)
        return replace(plugin, reason=str(fault))
    logger.debug("loaded the %s `%s` of %s", plugin.kind, plugin.id, plugin.distribution)
    return replace(plugin, cls=cls, config={**config, **configs.get(plugin.id, {})})


def _class_and_configuration(one: Advertised) -> tuple[Any, dict[str, Any]]:
    function = run(one.load, "it cannot be imported")
    if not callable(function):
        raise Unsound("its entry point does not return (class, dict): it is not a function")
    answer: Any = run(function, "its entry point fails")
    return run(
        lambda: _taken_apart(answer, KINDS[one.kind].base),
        "its entry point does not return (class, dict)",
    )


def _taken_apart(answer: Any, base: type) -> tuple[Any, dict[str, Any]]:
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], dict)):
        raise Unsound("its entry point does not return (class, dict)")
    if not (isinstance(answer[0], type) and issubclass(answer[0], base)):
        raise Unsound(f"its class does not derive from reconciler.plugin.{base.__name__}")
    if not all(isinstance(key, str) for key in answer[1]):
        raise Unsound("its plugin-level configuration has a key that is not a text")
    return answer[0], dict(answer[1])


def _metadata(cls: Any) -> Metadata:
    found = cls.metadata()
    if not isinstance(found, Metadata):
        raise Unsound("its metadata is malformed: `metadata()` must return Metadata")
    id, name, types, api = found.id, found.display_name, found.types, found.api
    _check_id(id)
    if not isinstance(name, str):
        raise Unsound("its metadata is malformed: `display_name` must be a text")
    if (
        isinstance(types, (str, bytes))
        or not isinstance(types, Sequence)
        or not all(isinstance(type_, str) and type_ for type_ in types)
    ):
        raise Unsound("its metadata is malformed: `types` must be a sequence of content type IDs")
    try:
        SpecifierSet(api)
    except (InvalidSpecifier, TypeError, AttributeError):
        raise Unsound(
            f"its metadata is malformed: `{api}` is not a PEP 440 range of API versions"
        ) from None
    return Metadata(
        id, name, tuple(types), api
    )  # our own copy: a list of theirs could change later


def _content_type_id(cls: Any) -> str:
    id: Any = getattr(cls, "id", None)
    _check_id(id)
    return str(id)


def _check_id(id: Any) -> None:
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise Unsound(
            "its metadata is malformed: its `id` must be a text of letters, digits, `.`, `_` and"
            " `-` that begins with a letter or digit"
        )


def _check_api(api: str) -> None:
    """Check that the API range contains our version.

    A pre-release of ours counts as in a range that names its neighbours: a range is about meaning,
    not about maturity.
    """
    if not SpecifierSet(api).contains(API_VERSION, prereleases=True):
        raise Unsound(f"it supports plugin API {api}, this is {API_VERSION}")


def _check_attributes(kind: str, cls: Any) -> None:
    for name in KINDS[kind].models:
        model = getattr(cls, name, None)
        if not (isinstance(model, type) and issubclass(model, Options)):
            raise Unsound(f"its `{name}` does not derive from Options")
    if type(cls.revision) is not int:
        raise Unsound("its `revision` must be a whole number")
    if kind == "content-type":
        if not isinstance(cls.plural, str):
            raise Unsound("its `plural` must be a text")
        if not (cls.beside is None or isinstance(cls.beside, str)):
            raise Unsound("its `beside` must be the ID of a content type, or None")
