"""What a proxy asks of an agent besides its methods: their names, their documentation, the attributes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from agentlab.errors import nearest

Parameters = list[tuple[str, int, str | None]]
"""Name, kind (as :mod:`inspect` numbers them) and default as text of each parameter; None: it has no default."""


def public_names(agent: object) -> list[str]:
    """Give the names of all attributes and methods that do not begin with an underscore."""
    return [name for name in dir(agent) if not name.startswith("_")]


def method_names(agent: object) -> list[str]:
    """Give the names of the public methods. Nothing is called for it, no property either."""
    return [name for name in public_names(agent) if _is_method(inspect.getattr_static(agent, name, None))]


def _is_method(value: object) -> bool:
    return callable(value) or isinstance(value, (classmethod, staticmethod))


def find_method(agent: Any, name: str) -> Callable[..., Any]:
    """Give a method.

    Raises:
        AttributeError: there is none; the text names the nearest.
        TypeError: it is an attribute.
    """
    function = getattr(agent, name, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    if hasattr(agent, name):
        raise TypeError(f"{name!r} of agent {agent.name!r} is an attribute, not a method")
    raise AttributeError(f"agent {agent.name!r} has no method {name!r}{nearest(name, method_names(agent))}")


def attribute(agent: Any, name: str) -> tuple[bool, Any]:
    """Give (True, value) for an attribute, (False, None) for a method.

    Raises:
        AttributeError: there is neither; the text names the nearest.
    """
    try:
        value = getattr(agent, name)
    except AttributeError:
        if inspect.getattr_static(agent, name, None) is not None:
            raise  # a property that failed with one
        raise AttributeError(f"agent {agent.name!r} has no attribute {name!r}{nearest(name, public_names(agent))}") from None
    return (False, None) if callable(value) else (True, value)


def document(agent: Any, name: str) -> tuple[str, Parameters]:
    """Give docstring and parameters of a method. Raises as :func:`find_method`."""
    function = find_method(agent, name)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have none
        parameters = [inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)]
    empty = inspect.Parameter.empty
    described = [(p.name, int(p.kind), None if p.default is empty else repr(p.default)) for p in parameters]
    return inspect.getdoc(function) or "", described
