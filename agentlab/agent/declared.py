"""Sockets that are declared, by a class (``binds``) or by the lab file, instead of bound in ``on_init``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentlab.errors import AgentStartError, ConfigurationError, nearest

if TYPE_CHECKING:
    from agentlab.agent.agent import Agent

Declared = Mapping[str, str | Mapping[str, Any]]
"""Alias -> kind, or -> kind and options of ``bind``."""

OPTIONS = ("handler", "transport", "serializer", "addr", "hwm", "advertise")


def options_of(alias: str, given: str | Mapping[str, Any]) -> dict[str, Any]:
    """Give the options of ``bind`` for one declared socket, ``kind`` among them.

    Raises:
        ConfigurationError: it has no kind, or an option that there is not.
    """
    if isinstance(given, str):
        return {"kind": given}
    if not hasattr(given, "keys") or "kind" not in given:
        raise ConfigurationError(f"socket {alias!r} is declared as {given!r}; write its kind, or a mapping with `kind`")
    for key in given:
        if key != "kind" and key not in OPTIONS:
            raise ConfigurationError(f"socket {alias!r} is declared with {key!r}{nearest(str(key), ('kind', *OPTIONS))}")
    return {key: value for key, value in given.items() if value is not None}


def bind_declared(agent: Agent, more: Declared) -> None:
    """Bind what an agent's class and the lab file declare, where ``on_init`` has not done it. In the owner's thread.

    Args:
        agent: After its ``on_init``.
        more: What the lab file declares; it goes before what the class says of the same alias.

    Raises:
        AgentStartError: ``on_init`` has made something else of an alias.
        ConfigurationError: a declaration makes no sense.
        AgentLabError: what ``bind`` raises; the text says which socket.
    """
    for alias, given in {**agent.binds, **more}.items():
        options = options_of(alias, given)
        kind = str(options.pop("kind"))
        if agent.has_socket(alias):
            _check_same(agent, alias, kind)
            continue
        try:
            agent.bind(kind, alias, **options)
        except Exception as error:
            error.add_note(f"this was the declared socket {alias!r} of agent {agent.name!r}")
            raise


def _check_same(agent: Agent, alias: str, kind: str) -> None:
    link = agent._links.get(alias)
    if link.kind != kind or not link.bound:
        found = f"{'bound' if link.bound else 'connected'} it as {link.kind}"
        raise AgentStartError(
            f"socket {alias!r} of agent {agent.name!r} is declared as {kind}, but on_init has {found}; make both the same, "
            "or take one of them away"
        )
