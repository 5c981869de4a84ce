"""What of a class is served: its public methods and properties, without any decorator. Runs nothing of the class."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from agentlab.agent.describe import signature_text
from agentlab.errors import ConfigurationError, nearest

Parameters = list[tuple[str, int, str | None]]
"""Name, kind (as :mod:`inspect` numbers them) and default as text of each parameter; None: it has no default."""


def load_class(target: Any) -> Any:
    """Give the class of a target; ``module:Class`` is imported.

    Raises:
        ConfigurationError: the module has no such class, or it has nothing public.
        Exception: whatever importing the module raises.
    """
    found = target
    if isinstance(target, str):
        module, _, path = target.partition(":")
        found = importlib.import_module(module)
        for part in path.split("."):
            if not hasattr(found, part):
                raise ConfigurationError(f"module {module!r} has no class {path!r}{nearest(part, _classes(found))}")
            found = getattr(found, part)
        if not isinstance(found, type):
            raise ConfigurationError(f"{target!r} is a {type(found).__name__}, not a class; a service needs a class")
    kind = found if isinstance(found, type) else type(found)
    if not method_names(kind) and not property_names(kind):
        raise ConfigurationError(
            f"class {kind.__module__}.{kind.__qualname__} has no public method; names without a leading underscore are public"
        )
    return found


def method_names(kind: type) -> list[str]:
    """Give the names of the public methods of a class."""
    return [name for name in _public(kind) if _is_method(inspect.getattr_static(kind, name, None))]


def property_names(kind: type) -> list[str]:
    """Give the names of the public properties of a class."""
    return [name for name in _public(kind) if _is_property(inspect.getattr_static(kind, name, None))]


def public_names(kind: type, instance: Any = None) -> list[str]:
    """Give all public names of a class, and of what an instance of it has besides. No property is read."""
    return sorted({*_public(kind), *(name for name in getattr(instance, "__dict__", {}) if not name.startswith("_"))})


def is_generator(function: Any) -> bool:
    """Tell whether calling it gives a generator."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def document(kind: type, name: str) -> tuple[str, Parameters]:
    """Give docstring and parameters of a method of a class.

    Raises:
        AttributeError: it has no such public method.
    """
    if name not in method_names(kind):
        raise AttributeError(f"{kind.__qualname__} has no method {name!r}{nearest(name, method_names(kind))}")
    empty = inspect.Parameter.empty
    parameters = _signature(kind, name).parameters.values()
    described = [(p.name, int(p.kind), None if p.default is empty else repr(p.default)) for p in parameters]
    return inspect.getdoc(getattr(kind, name)) or "", described


def portrait(kind: type, name: str) -> dict[str, Any]:
    """Give what a method or an attribute is, as :func:`agentlab.agent.describe.portrait` gives it; no value of an attribute."""
    static = inspect.getattr_static(kind, name, None)
    if _is_property(static):
        return {"name": name, "type": "property", "value": None, "doc": inspect.getdoc(static) or ""}
    if not _is_method(static):
        return {"name": name, "type": "", "value": None, "doc": ""}
    doc = inspect.getdoc(getattr(kind, name)) or ""
    return {"name": name, "signature": signature_text(_signature(kind, name)), "doc": doc, "own": True}


def _signature(kind: type, name: str) -> inspect.Signature:
    """Give the signature of a method without its instance."""
    try:
        signature = inspect.signature(getattr(kind, name))
    except (TypeError, ValueError):  # some builtins have none
        return inspect.Signature([inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)])
    parameters = list(signature.parameters.values())
    if parameters and not isinstance(inspect.getattr_static(kind, name), (classmethod, staticmethod)):
        parameters = parameters[1:]  # the instance
    return signature.replace(parameters=parameters)


def _public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


def _is_method(value: object) -> bool:
    return isinstance(value, (classmethod, staticmethod)) or (
        callable(value) and not isinstance(value, type) and not _is_property(value)
    )


def _is_property(value: object) -> bool:
    return inspect.isdatadescriptor(value) or (hasattr(value, "func") and hasattr(type(value), "__set_name__"))  # cached_property


def _classes(module: Any) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")]
