"""`--override KIND/NAME.key=VALUE`: plugin keys for one run.

Recorded specifications and digests do not contain them. Faults point into the option:
`--override:2:17` is column 17 of the second one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from reconciler.errors import Fault, Origin
from reconciler.manifest.canonical import plain
from reconciler.manifest.document import Document, ManifestText, Path, Unreadable, documents
from reconciler.manifest.kinds import RepositorySpec
from reconciler.manifest.plugin_lookup import Plugins, Usable
from reconciler.manifest.plugin_options import located_on, merged
from reconciler.manifest.references import Named, Table
from reconciler.manifest.remote_defaults import RemoteDefaults, remote_defaults
from reconciler.manifest.repositories import SOURCE_KEYS, selects, words_for_selecting
from reconciler.manifest.resources import FILTER_KEYS, PUBLICATION_KEYS, Declaration
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import keys, suggestion
from reconciler.model import Filter, KeyLocations, Kind, Publication, Repository, SourceKind
from reconciler.plugin import Options, PluginCallConfiguration
from reconciler.plugin.options import Located
from reconciler.plugin.source_options import option_keys, option_models, options_of

OPTION = "--override"

_FORM = re.compile(r"([^/=]*)/([^=]*)=(.*)", re.DOTALL)
_KINDS = {name: kind for kind in Kind for name in (kind.lower(), f"{kind.lower()}s")} | {
    "repositories": Kind.REPOSITORY
}
_CORE: Mapping[Kind, Sequence[str]] = {
    Kind.FILTER: FILTER_KEYS,
    Kind.REPOSITORY: (
        *keys(RepositorySpec),
        *RepositorySpec.not_yet,
        "name",
        "version",
        "everything",
    ),
    Kind.PUBLICATION: PUBLICATION_KEYS,
}


@dataclass(frozen=True, slots=True)
class Override:
    """One parsed option.

    `number`: counts the options from 1. `target`: `NAME.key`, not split yet. `start`, `end`: its
    columns.
    """

    number: int
    kind: Kind
    target: str
    start: int
    end: int
    value: Any

    def origin(self, column: int) -> Origin:
        return Origin(OPTION, self.number, column)


@dataclass(frozen=True, slots=True)
class Setting:
    """Override of a declared resource. `path`: of the key within the plugin's options."""

    override: Override
    path: tuple[str, ...]

    def origin(self, step: int = 0) -> Origin:
        """Return where a step of the key begins in the option."""
        return self.override.origin(self.override.end - len(".".join(self.path[step:])))


def parsed(texts: Iterable[str], faults: list[Fault]) -> list[Override]:
    """Return the options that can be parsed; add a fault for each of the others."""
    options = (_parsed(number, text, faults) for number, text in enumerate(texts, 1))
    return [option for option in options if option is not None]


def override(
    overrides: Sequence[Override],
    named: Named,
    plugins: Plugins,
    *,
    faults: list[Fault],
    complete: bool,
) -> None:
    """Replace the options of overridden resources. `complete`: see `link`."""
    settings: dict[tuple[Kind, str], list[Setting]] = {}
    for option in overrides:
        name = next((name for name in _names(option.target) if name in named[option.kind]), None)
        if name is not None:
            path = tuple(option.target[len(name) + 1 :].split("."))
            _add(Setting(option, path), settings.setdefault((option.kind, name), []), faults)
        elif complete:
            faults.append(_unknown(option, named))
    for (kind, name), own_settings in settings.items():
        declared = named[kind][name]
        if own_settings and declared.resource is not None:
            overriding = _Overriding(declared, own_settings, plugins, faults=faults)
            overriding.apply(named[Kind.REMOTE])


class _Place(Document):
    """Document made by options: the place of a value is the option that sets it."""

    __slots__ = ("_settings",)

    def __init__(self, settings: Sequence[Setting], beside: Document) -> None:
        """`beside`: the manifest, from whose folder relative paths start."""
        source = beside.source
        super().__init__(ManifestText(OPTION, source.folder, "", source.reach), 0, None, None)
        self._settings = settings

    def place(self, path: Path = (), *, key: bool = False) -> Origin:
        steps = path[1:]  # the first names the resource
        for setting in self._settings:
            length = min(len(steps), len(setting.path))
            if steps and steps[:length] == setting.path[:length]:
                return (
                    setting.origin(length - 1)
                    if key
                    else setting.override.origin(setting.override.end + 1)
                )
        return self._settings[0].origin()


class _Overriding:
    """Apply the settings of one declared resource."""

    def __init__(
        self,
        declared: Declaration,
        settings: list[Setting],
        plugins: Plugins,
        *,
        faults: list[Fault],
    ) -> None:
        self._declared = declared
        self._settings = settings
        self._plugins = plugins
        self._faults = faults
        self._label = f"{declared.kind.lower()}/{declared.name}"

    def apply(self, remotes: Table) -> None:
        resource = self._declared.resource
        if isinstance(resource, Repository):
            self._repository(resource, remotes)
        elif isinstance(resource, Filter):
            plugin = self._plugins.importer(resource.type)
            if isinstance(plugin, Usable) and self._are_plugin_keys([plugin.cls.filter_options]):
                written = {
                    key: value
                    for key, value in self._declared.checked.mapping("spec").items()
                    if key not in FILTER_KEYS
                }
                options = self._options(plugin.cls.filter_options, self._over(written))
                self._declared.resource = msgspec.structs.replace(
                    resource, options=options, locations=self._written(resource.locations)
                )
        elif isinstance(resource, Publication):
            plugin = self._plugins.publisher(resource.publisher)
            if isinstance(plugin, Usable) and self._are_plugin_keys([plugin.cls.options]):
                changed = self._changed(
                    ("spec",), plugin, core=PUBLICATION_KEYS, config=resource.config
                )
                self._declared.resource = msgspec.structs.replace(resource, **changed)

    def _repository(self, resource: Repository, remotes: Table) -> None:
        plugin = self._plugins.importer(resource.type)
        if not isinstance(plugin, Usable) or not self._are_plugin_keys(option_models(plugin.cls)):
            return
        if not resource.sources:
            self._refuse(
                self._settings[0],
                "has no sources, and only they have a plugin's keys",
                "add a source to the manifest",
            )
        self._check_selection(resource, plugin)
        defaults = {
            source.name: remote_defaults(remotes[source.name].checked, plugin)
            for source in resource.sources
            if source.kind is SourceKind.REMOTE and plugin.cls.remote_keys
        }
        sources = tuple(
            msgspec.structs.replace(
                source,
                **self._changed(
                    ("spec", "sources", index, source.kind.value),
                    plugin,
                    core=SOURCE_KEYS[source.kind],
                    config=source.config,
                    kind=source.kind,
                    remote=defaults.get(source.name) if source.kind is SourceKind.REMOTE else None,
                ),
                locations=self._written(source.locations),
            )
            for index, source in enumerate(resource.sources)
        )
        self._declared.resource = msgspec.structs.replace(resource, sources=sources)

    def _check_selection(self, resource: Repository, plugin: Usable) -> None:
        """Refuse options that leave a source without a selection: they would take everything."""
        for index, source in enumerate(resource.sources):
            if source.kind is not SourceKind.REMOTE or source.spec[source.kind].get("everything"):
                continue
            path = ("spec", "sources", index, source.kind.value)
            core = SOURCE_KEYS[source.kind]
            before = merged(self._declared.checked, path, plugin, core=core, kind=source.kind)
            if selects(plugin, before) and not selects(plugin, self._over(before)):
                self._refuse(
                    self._settings[0],
                    f"the remote `{shown(source.name)}` would take everything",
                    words_for_selecting(plugin),
                )

    def _changed(
        self,
        path: Path,
        plugin: Usable,
        *,
        core: Sequence[str],
        config: PluginCallConfiguration,
        kind: str = "",
        remote: RemoteDefaults | None = None,
    ) -> dict[str, Any]:
        """Return the fields of a source or publication that differ.

        The override level of the configuration holds whole keys, even if only a part was set.
        """
        model = options_of(plugin.cls, kind)
        value = self._over(
            merged(self._declared.checked, path, plugin, core=core, kind=kind, remote=remote),
            elsewhere=set().union(*map(option_keys, option_models(plugin.cls)))
            - option_keys(model),
        )
        top = {setting.path[0]: plain(value.get(setting.path[0])) for setting in self._settings}
        return {
            "options": self._options(model, value, located=located_on(remote)),
            "config": PluginCallConfiguration(top, config.repository, config.plugin),
        }

    def _over(self, value: dict[str, Any], elsewhere: Collection[str] = ()) -> dict[str, Any]:
        """Return `value` with what is set; keys of `elsewhere` are those of other sources."""
        for setting in self._settings:
            if setting.path[0] in elsewhere:
                continue
            value = _set(value, setting.path, setting.override.value)
        return value

    def _written(self, otherwise: KeyLocations) -> KeyLocations:
        """Return locations that name the option for overridden keys, `otherwise` for the rest."""

        def find(path: Path) -> str | None:
            origin = next(
                (
                    setting.origin()
                    for setting in self._settings
                    if path[: len(setting.path)] == setting.path
                ),
                None,
            )
            return f"{origin.file}:{origin.line}" if origin is not None else otherwise.find(path)

        return KeyLocations(find)

    def _options(
        self,
        model: type[Options],
        value: dict[str, Any],
        *,
        located: Mapping[str, Located] = MappingProxyType({}),
    ) -> Options | None:
        place = _Place(self._settings, self._declared.checked.document)
        return Checked(place, self._faults).against(model, (self._label,), value, located=located)

    def _are_plugin_keys(self, models: Iterable[type[Options]]) -> bool:
        """Refuse keys of the core, which only manifests change; return True if there are none."""
        known = set().union(*map(option_keys, models))
        core = [
            setting
            for setting in self._settings
            if setting.path[0] in _CORE[self._declared.kind] and setting.path[0] not in known
        ]
        for setting in core:
            what = (
                f"`{shown(setting.path[0])}` is not a key of a plugin; only those can be overridden"
            )
            self._refuse(setting, what, "change it in the manifest")
        return not core

    def _refuse(self, setting: Setting, message: str, hint: str) -> None:
        self._faults.append(Fault(setting.origin(), f"`{self._label}`: {message}", hint))


def _parsed(number: int, text: str, faults: list[Fault]) -> Override | None:
    match = _FORM.fullmatch(text)
    if match is None:
        faults.append(
            Fault(
                Origin(OPTION, number),
                "expects `KIND/NAME.key=VALUE`",
                "`--override repository/team.include=[django]`",
            )
        )
        return None
    kind = _KINDS.get(match[1].lower())
    if kind is None or kind is Kind.REMOTE:
        what, hint = (
            f"unknown kind `{shown(match[1])}`",
            suggestion(match[1].lower(), [name.lower() for name in _CORE]),
        )
        if kind is Kind.REMOTE:
            what, hint = (
                "keys of a remote are not overridden",
                "override the sources that use it: `repository/NAME.key=VALUE`",
            )
        faults.append(Fault(Origin(OPTION, number), what, hint))
        return None
    read, value = _value(number, match, faults)
    return (
        Override(number, kind, match[2], match.start(2) + 1, match.end(2) + 1, value)
        if read
        else None
    )


def _value(number: int, match: re.Match[str], faults: list[Fault]) -> tuple[bool, Any]:
    """Return (True, VALUE), or (False, None) and a fault.

    VALUE is parsed as YAML, in a document padded so that faults get the right line and column.
    """
    if not match[3].strip():
        message = "a key without a value"
        faults.append(
            Fault(
                Origin(OPTION, number, match.start(3) + 1),
                message,
                "`''` is the empty text, `null` the plugin's own default",
            )
        )
        return False, None
    text = "\n" * (number - 1) + "k".ljust(match.start(3) - 2) + ": " + match[3]
    before = len(faults)
    try:
        read = list(documents(ManifestText(OPTION, "", text), faults))
    except Unreadable as stop:
        origin = (
            stop.fault.origin
            if stop.fault.origin.line == number
            else Origin(OPTION, number, match.start(3) + 1)
        )
        faults.append(Fault(origin, stop.fault.message, stop.fault.hint))
        return False, None
    if len(faults) > before:
        return False, None
    if len(read) != 1 or not isinstance(read[0].value, dict) or list(read[0].value) != ["k"]:
        faults.append(
            Fault(
                Origin(OPTION, number, match.start(3) + 1),
                "expects one value",
                "`[a, b]`, `{key: value}`, `7d`, `true` or a text",
            )
        )
        return False, None
    return True, read[0].value["k"]


def _names(target: str) -> list[str]:
    """Return the possible names in `NAME.key`, longest first.

    Names may contain dots, and keys may be nested.
    """
    parts = target.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


def _unknown(override: Override, named: Named) -> Fault:
    names = named[override.kind]
    if override.target in names:
        message = f"`{override.kind.lower()}/{shown(override.target)}` lacks a key"
        return Fault(
            override.origin(override.end),
            message,
            f"`{override.kind.lower()}/{shown(override.target)}.key=VALUE`",
        )
    meant = _names(override.target) or [override.target]
    close = (hint for name in meant if (hint := suggestion(name, names, "")))
    name = meant[-1]
    hint = next(close, None) or (
        suggestion(None, names) if names else f"no {override.kind} is declared"
    )
    return Fault(override.origin(override.start), f"unknown {override.kind} `{shown(name)}`", hint)


def _add(setting: Setting, others: list[Setting], faults: list[Fault]) -> None:
    """Append `setting`, unless another one sets the same key or a part of it: a fault."""
    for other in others:
        length = min(len(setting.path), len(other.path))
        if setting.path[:length] == other.path[:length]:
            message = f"`{shown('.'.join(setting.path))}` is overridden twice"
            faults.append(
                Fault(
                    setting.origin(),
                    message,
                    f"the other is number {other.override.number}: keep one of them",
                )
            )
            return
    others.append(setting)


def _set(value: Mapping[str, Any], path: tuple[str, ...], new: Any) -> dict[str, Any]:
    """Return a copy of nested mappings with the key at `path` set, or removed if `new` is None."""
    key, rest = path[0], path[1:]
    if rest:
        inner = value.get(key)
        return {**value, key: _set(inner if isinstance(inner, dict) else {}, rest, new)}
    return (
        {**value, key: new}
        if new is not None
        else {other: old for other, old in value.items() if other != key}
    )
