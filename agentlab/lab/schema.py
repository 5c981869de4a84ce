"""A JSON schema of lab files, for editors that complete and check while one types. Pure."""

from __future__ import annotations

from typing import Any

from agentlab.lab.model import FileModel
from agentlab.lab.wires import KINDS
from agentlab.settings import SERIALIZERS, TRANSPORTS, config

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE: dict[str, Any] = {"type": "string", "pattern": r"\$\{.+\}", "description": "from the environment: ${NAME:default}"}
_NAMES: dict[str, Any] = {"pattern": r"^[^\s/:,>\-.][^\s/:,>]*$", "maxLength": 100}
_WIRE = r"^[^\s>]+\.[^\s.>]+\s*->\s*[^\s>]+\.[^\s.>]+$"
_ALLOWED_SETTINGS: dict[str, tuple[str, ...]] = {
    "SERIALIZER": SERIALIZERS,
    "TRANSPORT": TRANSPORTS,
    "SECURITY": ("keys", "none"),
    "START_METHOD": ("forkserver", "spawn"),
}
_NAMED = ("nameservers", "daemons", "services", "agents", "instruments", "groups")


def lab_schema() -> dict[str, Any]:
    """Give the schema of lab files, in draft 2020-12, as plain values for JSON."""
    schema = FileModel.model_json_schema(by_alias=True)
    definitions = {name: _finished(definition) for name, definition in schema["$defs"].items()}
    sockets = definitions["AgentModel"]["properties"]["sockets"]
    sockets["additionalProperties"] = {"anyOf": [{"enum": list(KINDS)}, {"$ref": "#/$defs/SocketModel"}]}
    top = _finished({key: value for key, value in schema.items() if key != "$defs"})
    properties = top["properties"]
    properties["settings"] |= {"properties": _settings(), "additionalProperties": False}
    properties["wires"]["items"] = {"anyOf": [{"type": "string", "pattern": _WIRE}, {"$ref": "#/$defs/WireModel"}]}
    for section in _NAMED:
        properties[section] = _named(properties[section])
    properties["nameservers"]["anyOf"] = [
        _of_names("NameServerConfig"),
        {"type": "array", "items": _one_server()},
        {"type": "null"},
    ]
    return {
        "$schema": DRAFT,
        "title": "agentlab lab file",
        **{key: value for key, value in top.items() if key != "title"},
        "patternProperties": {"^x-": {"description": "yours: a place for anchors"}},
        "$defs": definitions,
    }


def _finished(definition: dict[str, Any]) -> dict[str, Any]:
    """Let variables of the environment stand for values, and leave out titles that only repeat names."""
    properties = {name: _open(value) for name, value in definition.get("properties", {}).items()}
    return {**{key: value for key, value in definition.items() if key != "title"}, "properties": properties}


def _open(value: dict[str, Any]) -> dict[str, Any]:
    value = {key: item for key, item in value.items() if key != "title"}
    outside = {key: value.pop(key) for key in ("description", "default") if key in value}
    choices = value.pop("anyOf", [value] if value else [])
    if any("enum" in choice or "const" in choice or choice.get("type") in ("integer", "number", "boolean") for choice in choices):
        choices = [*choices, _VARIABLE]
    inside = choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {}
    return {**inside, **outside}


def _settings() -> dict[str, Any]:
    described = {key: {"description": meaning} for key, (_, _, meaning) in config.describe().items()}
    return {
        key: entry | ({"enum": list(_ALLOWED_SETTINGS[key])} if key in _ALLOWED_SETTINGS else {})
        for key, entry in described.items()
    }


def _named(section: dict[str, Any]) -> dict[str, Any]:
    """Let a section be empty, and say what its names can be."""
    outside: dict[str, Any] = {key: section[key] for key in ("description", "default") if key in section}
    inside = {key: value for key, value in section.items() if key not in outside}
    return {"anyOf": [{**inside, "propertyNames": _NAMES}, {"type": "null"}], **outside}


def _of_names(model: str) -> dict[str, Any]:
    entry = {"anyOf": [{"$ref": f"#/$defs/{model}"}, {"type": "null"}]}
    return {"type": "object", "additionalProperties": entry, "propertyNames": _NAMES}


def _one_server() -> dict[str, Any]:
    return {**_of_names("NameServerConfig"), "minProperties": 1, "maxProperties": 1}
