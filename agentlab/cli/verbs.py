"""The verbs of the program, and how each is imported when it is asked for: others' imports would cost half its time.

A new verb is one line in :data:`VERBS`: its name, and the module whose function of that name it is.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import typer
from typer.core import TyperCommand

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
    "Instruments and runs": {
        "instruments": "instruments",
        "lock": "lock",
        "unlock": "unlock",
        "who": "who",
        "estop": "estop",
        "reset": "reset",
        "runs": "runs",
    },
    "This program": {
        "nameserver": "nameserver",
        "info": "info",
        "demo": "demo",
    },
}
"""Theme -> verb -> module of ``agentlab.cli``, in the order in which ``--help`` shows them."""

_NEGATIVE = re.compile(r"-(\d|\.\d|inf)")  # how what a user sets may begin: -5, -.5, "-5 mV"; no option begins so


class Verb(TyperCommand):
    """A command that takes negative numbers for what they are, and for no options."""

    def make_parser(self, ctx: Any) -> Any:
        """Give the parser of options, which leaves negative numbers among the arguments."""
        parser: Any = super().make_parser(ctx)
        options = parser._process_opts

        def process(arg: str, state: Any) -> None:
            if _NEGATIVE.match(arg):
                state.largs.append(arg)
            else:
                options(arg, state)

        parser._process_opts = process
        return parser


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
    alone.command(verb, cls=Verb, rich_help_panel=theme)(function)
    return typer.main.get_command(alone)
