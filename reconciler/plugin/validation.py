"""Validation of one plugin, in this order; the first failed check disables the plugin.

1. It can be imported.
2. Its entry point is the class, or returns (class, dict).
3. The class derives from the base class of its kind.
4. Its API range includes our version: of another API nothing further is asked.
5. Its metadata is well-formed.
6. Its option models are models, and use no key of the core.
7. Its methods have today's names, and are coroutine functions and class methods where the base's
   are.

The registry checks what concerns several plugins: duplicate IDs and undefined content types.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from reconciler.logs import include_package
from reconciler.plugin.endpoints import endpoint_problem
from reconciler.plugin.entry_points import KINDS, Advertised, Unsound, run
from reconciler.plugin.former_names import former_attribute, missing_export
from reconciler.plugin.methods import instance_method_problem, method_problem
from reconciler.plugin.options import Metadata, Options
from reconciler.plugin.reserved_keys import RESERVED_KEYS, reserved_in
from reconciler.plugin.source_options import KINDS as SOURCE_KINDS
from reconciler.plugin.source_options import (
    attribute,
    by_key,
    holds_secret,
    option_keys,
    options_of,
    remote_model,
)
from reconciler.plugin.views import view_problem

API_VERSION = "2.0.0"
"""Version of all names in `reconciler.plugin` (semver): additions raise the minor number,
removals and changes the major one.
"""

# names folders, and is written in manifests without quotes
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

# where the keys of an option model stand
_PLACES = {
    ("importer", "options"): "source",
    ("importer", "filter_options"): "Filter",
    ("publisher", "options"): "Publication",
}

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


def validate(advertised: Advertised, configs: Mapping[str, Mapping[str, Any]]) -> Plugin:
    """Import a plugin and validate it.

    `configs`: by ID, keys that replace those of a plugin's own configuration.
    """
    plugin = Plugin(
        advertised.kind,
        advertised.name,
        advertised.distribution,
        advertised.version,
        advertised.origin,
    )
    try:
        cls, config = _class_and_configuration(advertised)
        include_package(cls.__module__.partition(".")[0])
        if advertised.kind == "content-type":
            id = run(lambda: _content_type_id(cls), "its attributes are malformed")
            plugin = replace(plugin, id=id)
        else:
            given = run(lambda: _given_metadata(cls), "its metadata is malformed")
            plugin = replace(plugin, id=given.id, metadata=given)
            run(lambda: _check_api(given.api), "its metadata is malformed")
            metadata = run(lambda: _checked_metadata(given), "its metadata is malformed")
            plugin = replace(plugin, metadata=metadata)
        run(lambda: _check_attributes(advertised.kind, cls), "its attributes are malformed")
    except Unsound as fault:
        logger.info("the %s `%s` is disabled: %s", plugin.kind, plugin.id, fault)
        return replace(plugin, reason=str(fault))
    logger.debug("loaded the %s `%s` of %s", plugin.kind, plugin.id, plugin.distribution)
    return replace(plugin, cls=cls, config={**config, **configs.get(plugin.id, {})})


def _class_and_configuration(advertised: Advertised) -> tuple[Any, dict[str, Any]]:
    function: Any = _loaded(advertised)
    if isinstance(function, type):
        return run(
            lambda: _checked_result((function, {}), KINDS[advertised.kind].base),
            "its entry point is no class of a plugin",
        )
    if not callable(function):
        raise Unsound("its entry point does not return (class, dict): it is not a function")
    result: Any = run(partial(_told, function), "its entry point fails")
    return run(
        lambda: _checked_result(result, KINDS[advertised.kind].base),
        "its entry point does not return (class, dict)",
    )


def _loaded(advertised: Advertised) -> object:
    return run(partial(_told, advertised.load), "it cannot be imported")


def _told(function: Callable[[], Any]) -> Any:
    """Call code of a plugin that imports; say which name of another API it misses."""
    try:
        return function()
    except (ImportError, AttributeError) as error:
        missing = missing_export(error, API_VERSION)
        if missing is None:
            raise
        raise Unsound(missing) from error


def _checked_result(result: Any, base: type) -> tuple[Any, dict[str, Any]]:
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
        raise Unsound("its entry point does not return (class, dict)")
    if not (isinstance(result[0], type) and issubclass(result[0], base)):
        raise Unsound(f"its class does not derive from reconciler.plugin.{base.__name__}")
    if not all(isinstance(key, str) for key in result[1]):
        raise Unsound("its plugin-level configuration has a key that is not a text")
    return result[0], dict(result[1])


def _given_metadata(cls: Any) -> Metadata:
    """Return metadata of which the ID and the API range can be used."""
    if problem := instance_method_problem(cls, "metadata"):
        raise Unsound(problem)
    metadata = cls.metadata()
    if not isinstance(metadata, Metadata):
        raise Unsound("its metadata is malformed: `metadata()` must return Metadata")
    _check_id(metadata.id)
    try:
        SpecifierSet(metadata.api)
    except (InvalidSpecifier, TypeError, AttributeError):
        raise Unsound(
            f"its metadata is malformed: `{metadata.api}` is not a PEP 440 range of API versions"
        ) from None
    return metadata


def _checked_metadata(metadata: Metadata) -> Metadata:
    name, types = metadata.display_name, metadata.types
    if not isinstance(name, str):
        raise Unsound("its metadata is malformed: `display_name` must be a text")
    if (
        isinstance(types, (str, bytes))
        or not isinstance(types, Sequence)
        or not all(isinstance(type_, str) and type_ for type_ in types)
    ):
        raise Unsound("its metadata is malformed: `types` must be a sequence of content type IDs")
    # a copy: the plugin could change its list later
    return Metadata(metadata.id, name, tuple(types), metadata.api)


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


def _check_selection(cls: Any) -> None:
    selecting = cls.selection_required
    if isinstance(selecting, str) or not option_keys(options_of(cls, "remote")).issuperset(
        selecting
    ):
        raise Unsound("its `selection_required` must list keys of its `remote` sources")


def _check_remote_keys(cls: Any) -> None:
    names = cls.remote_keys
    if isinstance(names, str) or not option_keys(options_of(cls, "remote")).issuperset(names):
        raise Unsound("its `remote_keys` must list keys of its `remote` sources")
    for key, option in by_key(remote_model(cls)).items():
        if key in RESERVED_KEYS["Remote"]:
            raise Unsound(f"its `remote_keys` have `{key}`, which is the core's in a Remote")
        if key in cls.selection_required:
            raise Unsound(f"its `remote_keys` have `{key}`: each source says itself what it takes")
        if holds_secret(option.annotation):
            raise Unsound(
                f"its `remote_keys` have `{key}`, a secret: a Remote has `auth` and `headers`"
            )


def _check_source_options(cls: Any) -> None:
    for kind in SOURCE_KINDS:
        name = attribute(kind)
        model = getattr(cls, name)
        if model is None:
            continue
        if not (isinstance(model, type) and issubclass(model, cls.options)):
            raise Unsound(
                f"its `{name}` do not derive from its `options`: shared keys are inherited"
            )
        _check_keys("importer", "options", model)


def _check_keys(kind: str, name: str, model: type[Options]) -> None:
    place = _PLACES.get((kind, name))
    key = next(reserved_in(model, place), None) if place is not None else None
    if key is not None:
        where = "the sources of a Repository" if place == "source" else f"a {place}"
        raise Unsound(
            f"its `{name}` have the key `{key}`, which is the core's in {where}: call it"
            " otherwise (RESERVED_KEYS lists the core's keys; `x-...` is never among them)"
        )


def _check_methods(kind: str, cls: Any) -> None:
    if problem := method_problem(cls, KINDS[kind].base):
        raise Unsound(problem)


def _check_endpoints(cls: Any) -> None:
    if isinstance(cls.endpoints, str) or not isinstance(cls.endpoints, Sequence):
        raise Unsound("its `endpoints` are no tuple: write `(Endpoint(...),)`")
    for endpoint in cls.endpoints:
        if problem := endpoint_problem(endpoint):
            raise Unsound(f"its endpoint {endpoint!r:.120} {problem}")
    if isinstance(cls.views, str) or not isinstance(cls.views, Sequence):
        raise Unsound("its `views` are no tuple: write `(View(...),)`")
    for view in cls.views:
        if problem := view_problem(view):
            raise Unsound(f"its view {view!r:.120} {problem}")


def _check_attributes(kind: str, cls: Any) -> None:
    for name in KINDS[kind].models:
        model = getattr(cls, name, None)
        if not (isinstance(model, type) and issubclass(model, Options)):
            raise Unsound(f"its `{name}` does not derive from Options")
        _check_keys(kind, name, model)
    former = former_attribute(cls, kind)
    if former is not None:
        raise Unsound(former)
    _check_methods(kind, cls)
    if kind == "importer":
        _check_source_options(cls)
        _check_selection(cls)
        _check_remote_keys(cls)
    if kind == "publisher":
        _check_endpoints(cls)
    if type(cls.revision) is not int:
        raise Unsound("its `revision` must be a whole number")
    if kind == "content-type":
        if not isinstance(cls.plural, str):
            raise Unsound("its `plural` must be a text")
        if not (cls.kept_with is None or isinstance(cls.kept_with, str)):
            raise Unsound("its `kept_with` must be the ID of a content type, or None")
