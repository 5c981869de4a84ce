"""The verbs of the program, and how each is imported when it is asked for: others' imports would cost half its time.

A new verb is one line in :data:`VERBS`: its name, and the module whose function of that name it is.
"""

from __future__ import annotations

import importlib
from typing import Any

import typer

VERBS: dict[str, dict[str, str]] = {
    "A lab": {
        "check": "check",
        "up": "up",
        "down": "down",
        "reload": "reload",
        "ps": "ps",
        "status": "status",
        "start": "start",
        "stop": "stop",
        "restart": "restart",
        "logs": "logs",
        "node": "node",
        "rename": "rename",
        "schema": "schema",
    },
    "Agents and services": {
        "ls": "ls",
        "ping": "ping",
        "describe": "describe",
        "get": "get",
        "set": "set",
        "call": "call",
        "watch": "watch",
        "top": "top",
        "graph": "graph",
    },
    "This program": {
        "nameserver": "nameserver",
        "info": "info",
        "demo": "demo",
    },
}
"""Theme -> verb -> module of ``agentlab.cli``, in the order in which ``--help`` shows them."""


class Verbs(dict[str, Any]):
    """The commands by verb, as typer wants them; each is made when somebody looks at it."""

    def __init__(self) -> None:
        self._places = {verb: (theme, module) for theme, verbs in VERBS.items() for verb, module in verbs.items()}
        super().__init__(dict.fromkeys(self._places))

    def __getitem__(self, verb: str) -> Any:
        command = super().__getitem__(verb)
        if command is None:
            command = self[verb] = _command(verb, *self._places[verb])
        return command

    def get(self, verb: str, default: Any = None) -> Any:
        """Give the command of a verb, or `default` where there is none."""
        try:
            return self[verb]
        except KeyError:
            return default

    def values(self) -> Any:
        """Give all commands; makes them all."""
        return {verb: self[verb] for verb in self}.values()

    def items(self) -> Any:
        """Give all verbs with their commands; makes them all."""
        return {verb: self[verb] for verb in self}.items()


def _command(verb: str, theme: str, module: str) -> Any:
    function = getattr(importlib.import_module(f"agentlab.cli.{module}"), verb)
    alone = typer.Typer(add_completion=False)
    alone.command(verb, rich_help_panel=theme)(function)
    return typer.main.get_command(alone)
