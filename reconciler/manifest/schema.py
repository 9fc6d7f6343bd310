"""JSON Schema (draft 2020-12) of manifests: the core's kinds and each plugin's keys."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from reconciler.manifest.access import AccessSpec
from reconciler.manifest.declared_marks import takes_marks
from reconciler.manifest.kinds import (
    API,
    SOURCES,
    ExportSpec,
    FilterSpec,
    IndexSpec,
    Metadata,
    PublicationSpec,
    RemoteSpec,
    RepositorySpec,
)
from reconciler.model import Kind, SourceKind
from reconciler.plugin import Importer
from reconciler.plugin.registry import Registry
from reconciler.plugin.source_options import options_of, remote_model

_REFERENCE = "#/$defs/{model}"


def schema(registry: Registry) -> dict[str, Any]:
    """Return the schema of one document. Disabled plugins add nothing to it."""
    definitions: dict[str, Any] = {}
    enabled = [plugin for plugin in registry.all() if plugin.enabled]
    importers: dict[str, Any] = {
        plugin.id: plugin for plugin in enabled if plugin.kind == "importer"
    }
    publishers: dict[str, Any] = {
        plugin.id: plugin for plugin in enabled if plugin.kind == "publisher"
    }
    kinds: dict[str, dict[str, Any]] = {
        Kind.REMOTE.value: _by_type(
            definitions,
            "Remote",
            {id: _remote(definitions, id, plugin.cls) for id, plugin in importers.items()},
        ),
        Kind.FILTER.value: _by_type(
            definitions,
            "Filter",
            {id: _filter(definitions, id, plugin.cls) for id, plugin in importers.items()},
        ),
        Kind.REPOSITORY.value: _by_type(
            definitions,
            "Repository",
            {id: _repository(definitions, id, plugin) for id, plugin in importers.items()},
        ),
        Kind.PUBLICATION.value: _publication(definitions, publishers),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A manifest of {API}",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API},
            "kind": {"enum": list(kinds)},
            "metadata": _object(definitions, "core", Metadata),
            "spec": {"type": "object"},
        },
        "additionalProperties": False,
        "allOf": [
            _when({"properties": {"kind": {"const": kind}}, "required": ["kind"]}, {"spec": spec})
            for kind, spec in kinds.items()
        ],
        "$defs": definitions,
    }


def _remote(definitions: dict[str, Any], id: str, cls: Any) -> dict[str, Any]:
    spec = _object(definitions, "core", RemoteSpec)
    if cls.remote_keys:
        spec = _joined(spec, _object(definitions, f"importer.{id}.remote", remote_model(cls)))
    names = list(cls.well_known_names)
    if names:
        spec["properties"]["index"] = {"enum": names}
    return spec | {"oneOf": [{"required": ["index"]}, {"required": ["url"]}]}


def _filter(definitions: dict[str, Any], id: str, cls: type[Importer]) -> dict[str, Any]:
    return _joined(
        _object(definitions, "core", FilterSpec),
        _object(definitions, f"importer.{id}", cls.filter_options),
    )


def _repository(definitions: dict[str, Any], id: str, plugin: Any) -> dict[str, Any]:
    """Return the schema of a repository: each source kind has its own keys and the importer's."""
    sources = {}
    for kind, model in SOURCES.items():
        own = options_of(plugin.cls, kind)
        where = f"importer.{id}" if own is plugin.cls.options else f"importer.{id}.{kind}"
        options = _object(definitions, where, own)
        given = {*plugin.config, *(plugin.cls.remote_keys if kind == SourceKind.REMOTE else ())}
        sources[kind] = _joined(_object(definitions, "core", model), options, given)
    _say_what_to_take(sources[SourceKind.REMOTE], plugin)
    spec = _object(definitions, "core", RepositorySpec)
    if not takes_marks(plugin):
        del spec["properties"]["yank"]
    choices = [{"required": [kind]} for kind in sources]
    spec["properties"]["sources"] = {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": sources,
            "additionalProperties": False,
            "oneOf": choices,
        },
    }
    return spec


def _say_what_to_take(remote: dict[str, Any], plugin: Any) -> None:
    """Add `everything` to the schema of a `remote` source where the type asks for a selection."""
    selecting = plugin.cls.selection_required
    if not selecting:
        del remote["properties"]["everything"]
    elif plugin.config.keys().isdisjoint(selecting):
        every = {"properties": {"everything": {"const": True}}, "required": ["everything"]}
        some = {"anyOf": [{"required": [key]} for key in selecting]}
        remote["oneOf"] = [every, some]


def _publication(definitions: dict[str, Any], publishers: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a publication.

    Without `publisher` the type of the repository decides, which a schema cannot see: then the keys
    of any plugin are accepted.
    """
    core = _object(definitions, "core", PublicationSpec)
    core["properties"]["publisher"] = {"enum": list(publishers)}
    core["properties"]["access"] = _object(definitions, "core", AccessSpec)
    cases = []
    for id, plugin in publishers.items():
        options = _object(definitions, f"publisher.{id}", plugin.cls.options)
        spec = _joined(core, options, plugin.config)
        spec["properties"]["exports"] = _exports(definitions, id, plugin.cls.exporter)
        definitions[f"Publication.{id}"] = spec
        named = {"properties": {"publisher": {"const": id}}, "required": ["publisher"]}
        cases.append({"if": named, "then": {"$ref": f"#/$defs/Publication.{id}"}})
    return core | {"additionalProperties": True, "allOf": cases}


def _exports(definitions: dict[str, Any], id: str, exporter: Any) -> dict[str, Any]:
    """Return the schema of `exports`: an index has keys of the core and of the publisher."""
    item = _object(definitions, "core", ExportSpec)
    if exporter is None:
        del item["properties"]["index"]
        item["oneOf"] = [{"required": ["directory"]}]
    else:
        core = _object(definitions, "core", IndexSpec)
        own = _object(definitions, f"publisher.{id}.index", exporter.options)
        item["properties"]["index"] = _joined(core, own) | {"oneOf": core["oneOf"]}
    return {"type": "array", "items": item}


def _by_type(
    definitions: dict[str, Any], kind: str, specs: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the schema of a specification whose `type` decides which keys it may have."""
    cases = []
    for id, spec in specs.items():
        definitions[f"{kind}.{id}"] = spec
        cases.append(
            {
                "if": {"properties": {"type": {"const": id}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{kind}.{id}"},
            }
        )
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": list(specs)}},
        "allOf": cases,
    }


def _when(condition: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"if": condition, "then": {"properties": properties}}


class _Schema(GenerateJsonSchema):
    """Schema generator without titles, and without defaults that manifests cannot write."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Return the schema of the value: a key without a value is refused."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = self.generate_inner(schema["schema"])
        default = schema.get("default")
        return result | {"default": default} if isinstance(default, (str, bool, int)) else result


def _object(definitions: dict[str, Any], owner: str, model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a model; nested models go to `definitions`.

    Their names there begin with `owner`, because plugins may use the same names.
    """
    result = model.model_json_schema(
        ref_template=_REFERENCE.replace("{model}", f"{owner}.{{model}}"), schema_generator=_Schema
    )
    for name, inner in result.pop("$defs", {}).items():
        definitions[f"{owner}.{name}"] = inner
    result.pop("description", None)
    return result | {"properties": result.get("properties", {}), "additionalProperties": False}


def _joined(
    core: dict[str, Any], plugin: dict[str, Any], given: Collection[str] = ()
) -> dict[str, Any]:
    """Return the schema of one mapping with keys of the core and of a plugin.

    `given`: keys that the plugin level or a Remote sets, which this mapping need not have.
    """
    return {
        "type": "object",
        "properties": {**plugin["properties"], **core["properties"]},
        "required": [
            *core.get("required", []),
            *(key for key in plugin.get("required", []) if key not in given),
        ],
        "additionalProperties": False,
    }
