"""What a field of a model allows and what was found there, in a user's words instead of pydantic's. Pure."""

from __future__ import annotations

import enum
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import pydantic
from pydantic.fields import FieldInfo

_PLAIN: dict[Any, str] = {
    int: "whole numbers",
    float: "numbers",
    str: "text",
    bool: "true and false",
    type(None): "null",
    Any: "any value",
    dict: "a mapping",
    list: "a list",
}


def found(value: Any) -> str:
    """Say what was found, in at most some 60 characters."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    text = f"{value} (not finite)" if isinstance(value, float) and not math.isfinite(value) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def strip(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Give a type without its Annotated and alias wrappings, and what they held."""
    metadata: tuple[Any, ...] = ()
    while True:
        if get_origin(annotation) is Annotated:
            inner, *more = get_args(annotation)
            annotation, metadata = inner, (*more, *metadata)
        elif hasattr(annotation, "__value__"):  # type X = ...
            annotation = annotation.__value__
        else:
            return annotation, metadata


def members(annotation: Any) -> list[Any]:
    """Give the members of a union, None left out; of anything else, itself."""
    bare, _ = strip(annotation)
    if get_origin(bare) in (Union, types.UnionType):
        return [inner for member in get_args(bare) if member is not type(None) for inner in members(member)]
    return [] if bare is type(None) else [annotation]


def is_optional(annotation: Any) -> bool:
    """Tell whether null is allowed."""
    bare, _ = strip(annotation)
    if get_origin(bare) in (Union, types.UnionType):
        return any(is_optional(member) for member in get_args(bare))
    return bare is type(None) or bare is Any


def choices(annotation: Any) -> list[str]:
    """Give the words that are allowed, where only some are."""
    chosen: list[str] = []
    for member in members(annotation):
        bare, _ = strip(member)
        if get_origin(bare) is Literal:
            chosen += [str(value) for value in get_args(bare)]
        elif isinstance(bare, type) and issubclass(bare, enum.Enum):
            chosen += [str(value.value) for value in bare]
    return chosen


def allowed(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Say what a type allows: ``whole numbers from 0 to 65535, or null``."""
    parts = [text for member in members(annotation) if (text := _member(member, metadata)) is not None]
    if is_optional(annotation) and "any value" not in parts:
        parts.append("null")
    parts = list(dict.fromkeys(parts))
    if len(parts) <= 1:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} or {parts[-1]}"


def _member(annotation: Any, metadata: Sequence[Any]) -> str | None:
    bare, more = strip(annotation)
    origin = get_origin(bare)
    if origin is Literal:
        return ", ".join(str(value) for value in get_args(bare))
    if origin in (list, tuple, set, frozenset, Sequence):
        inner = [argument for argument in get_args(bare) if argument is not Ellipsis]
        return f"a list of {allowed(inner[0])}" if inner and inner[0] is not Any else "a list"
    if origin in (dict, Mapping):
        return "a mapping"
    if isinstance(bare, type):
        if issubclass(bare, pydantic.BaseModel):
            return f"a mapping with the keys {', '.join(keys(bare))}"
        if issubclass(bare, enum.Enum):
            return ", ".join(str(value.value) for value in bare)
        if issubclass(bare, PurePath):
            return "a path"
    text = _PLAIN.get(bare, getattr(bare, "__name__", str(bare)))
    return text + _limits([*metadata, *more], bare)


def _bounds(metadata: Iterable[Any]) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for item in metadata:
        if isinstance(item, FieldInfo):  # a member of a union keeps its bounds in there
            bounds |= _bounds(item.metadata)
        for single in item if isinstance(item, annotated_types.GroupedMetadata) else (item,):
            bounds |= {n: getattr(single, n) for n in ("ge", "gt", "le", "lt", "min_length", "pattern") if hasattr(single, n)}
    return bounds


def _limits(metadata: Iterable[Any], bare: Any) -> str:
    bounds = _bounds(metadata)
    said = []
    if "ge" in bounds and "le" in bounds:
        said.append(f"from {_number(bounds['ge'])} to {_number(bounds['le'])}")
    else:
        words = {"ge": "of at least", "gt": "greater than", "le": "of at most", "lt": "less than"}
        said += [f"{word} {_number(bounds[name])}" for name, word in words.items() if bounds.get(name) is not None]
    if bare is str and bounds.get("min_length"):
        said.append("that is not empty")
    return "".join(f" {part}" for part in said)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) and abs(value) < 1e6 else str(value)


def keys(model: type[pydantic.BaseModel]) -> list[str]:
    """Give the keys that a model knows, as they are written in the file."""
    return [info.alias or name for name, info in model.model_fields.items()]


def field_of(model: type[pydantic.BaseModel], key: Any) -> Any:
    """Give the FieldInfo of a key, or None."""
    for name, info in model.model_fields.items():
        if key in (info.alias, name):
            return info
    return None


def item_type(annotation: Any, part: Any) -> Any:
    """Give the type of an item of a list, or of a value of a mapping; Any where that is not known."""
    bare, _ = strip(annotation)
    arguments = get_args(bare)
    if get_origin(bare) is tuple and isinstance(part, int) and Ellipsis not in arguments:
        return arguments[part] if part < len(arguments) else typing.Any
    if get_origin(bare) in (dict, Mapping):
        return arguments[1] if len(arguments) > 1 else typing.Any
    return arguments[0] if arguments else typing.Any
