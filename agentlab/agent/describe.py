"""What is asked of an agent besides its methods: their names, their documentation, the attributes, the sockets."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from agentlab.agent.link import Link
from agentlab.errors import nearest
from agentlab.wire.channel import AgentChannel

MOST_SHOWN = 2000
"""Characters of an attribute's value that are shown."""

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


def socket(link: Link, alias: str | None) -> dict[str, Any]:
    """Give what a socket is, as plain values.

    Returns:
        ``alias``; ``kind`` of the agent's own side; ``role``: server or client; ``address``: where the server is, as text
        that is the same at both ends; ``serializer``; ``remote``: agent and alias that it was connected to by name, or
        None; ``topics`` that it has subscribed to; ``state``: made.
    """
    address = link.address
    if isinstance(address, AgentChannel):
        end = address.receiver if address.kind in ("ASYNC_REP", "SYNC_SUB") else address.sender
    else:
        end = address
    return {
        "alias": alias,
        "kind": link.kind,
        "role": "server" if link.bound else "client",
        "address": None if end is None else end.endpoint(),
        "serializer": str(address.serializer),
        "remote": None if link.remote is None else list(link.remote),
        "topics": [topic.decode("utf-8", "replace") for topic in link.topics()],
        "state": "made",
        "why": "",
    }


def portrait(agent: Any, name: str | None = None) -> dict[str, Any]:
    """Give what an agent is and can do, as plain values, or one method or attribute of it. Nothing of it is run.

    Returns:
        Of an agent: ``class``, ``doc``, ``methods`` and ``attributes``, the user's own ones; of a method ``name``,
        ``signature``, ``doc`` and ``own`` (False: every agent has it); of an attribute ``name``, ``type`` and ``value`` (its
        text; None for a property, which may do anything).

    Raises:
        AttributeError: it has nothing of that name; the text names the nearest.
    """
    if name is not None:
        if name not in public_names(agent):
            raise AttributeError(f"agent {agent.name!r} has no method or attribute {name!r}{nearest(name, public_names(agent))}")
        return _method(agent, name) if _is_method(inspect.getattr_static(agent, name)) else _attribute(agent, name)
    cls, common, methods = type(agent), _common(agent), set(method_names(agent))
    own = [n for n in public_names(agent) if n not in common or n in methods]
    return {
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "doc": inspect.cleandoc(cls.__doc__ or ""),
        "methods": [_method(agent, n) for n in own if n in methods],
        "attributes": [_attribute(agent, n) for n in own if n not in methods],
    }


def _common(agent: Any) -> set[str]:
    """Give the names that every agent has."""
    base = next(c for c in type(agent).__mro__ if c.__module__ == "agentlab.agent.agent")
    return {*dir(base), "name", "host", "nsaddr"}


def _method(agent: Any, name: str) -> dict[str, Any]:
    function = getattr(agent, name)
    try:
        signature = signature_text(inspect.signature(function))
    except (TypeError, ValueError):
        signature = "(...)"
    base = next((c for c in type(agent).__mro__ if name in vars(c)), None)
    return {
        "name": name,
        "signature": signature,
        "doc": inspect.getdoc(function) or "",
        "own": base is None or base.__module__ != "agentlab.agent.agent" or name in vars(agent),
    }


class _Bare(str):
    """A text that stands in a signature without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def signature_text(signature: inspect.Signature) -> str:
    """Give a signature as people write it: annotations, and defaults that are :func:`bare` texts, without quotes."""
    parameters = [parameter.replace(annotation=bare(parameter.annotation)) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=bare(signature.return_annotation)))


def bare(value: Any) -> Any:
    """Give a text such that a signature shows it without quotes; anything else as it is."""
    return _Bare(value) if isinstance(value, str) else value


def _attribute(agent: Any, name: str) -> dict[str, Any]:
    static = inspect.getattr_static(agent, name)
    if hasattr(type(static), "__get__"):  # a property, or another descriptor
        return {"name": name, "type": "property", "value": None, "doc": inspect.getdoc(static) or ""}
    return {"name": name, "type": type(static).__name__, "value": _short(static), "doc": ""}


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a door: the user's own __repr__
        return f"<its repr() raised {type(error).__name__}>"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"
