"""The door of the command line: every error leaves as one line on stderr and an exit code, never as a traceback.

Exit codes: 0 well, 1 it failed, 2 the user's mistake (a wrong option, no such agent, no name server), 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from agentlab.cli.tables import printable
from agentlab.cli.verbs import Verbs
from agentlab.errors import (
    AgentLabError,
    AlreadyUpError,
    ConfigurationError,
    LabDownError,
    LabError,
    LabStartError,
    LimitError,
    NameServerError,
    NameServerUnavailableError,
    RefusedError,
    UnitError,
    UnknownParameterError,
    UnknownUnitError,
    WrongAddressError,
)
from agentlab.yamlfile.problems import ProblemsError

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130
MISTAKES = (
    ConfigurationError,
    WrongAddressError,
    NameServerError,
    RefusedError,
    LabDownError,
    LabStartError,
    UnknownUnitError,
    AlreadyUpError,
    LimitError,
    UnitError,
    UnknownParameterError,
)
"""Errors that a user mends by asking for something else. All other errors of ours are failures."""

# typer has taken click in under another name, and older ones still import it: this is the one that it raises.
UsageError: type[Any] = typer.BadParameter.__mro__[1]


class Door(TyperGroup):
    """The group of all verbs; the one place that knows which error becomes which exit code."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = Verbs()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - asked for by typer
        """Give the verbs, without importing any."""
        return list(self.commands)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a verb and end the process with its exit code; what is wrong with the options is told in a line."""
        by_itself = options.get("standalone_mode", True)
        options["standalone_mode"] = False  # then errors and exit codes come to us
        options.setdefault("prog_name", "agentlab")  # also as python -m agentlab: shells complete a program by its name
        if not by_itself:
            return super().main(*args, **options)
        _make_streams_forgiving()
        try:
            code = super().main(*args, **options)
        except UsageError as error:
            code = say_usage(error)
        except typer.Abort:
            code = INTERRUPTED
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run a verb; errors of ours and of the system become a line and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left to end ends within seconds; once is enough
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except AgentLabError as error:
            here = "; on the command line: agentlab nameserver, or --nsaddr HOST:PORT"
            if isinstance(error, ProblemsError):
                for problem in error.problems:
                    say(str(replace(problem, file=_from_here(problem.file))))
            else:
                text = _without_traceback(str(error)) if isinstance(error, LabError) else str(error)
                say(f"{text}{here if isinstance(error, NameServerUnavailableError) else ''}")
            raise typer.Exit(MISTAKE if isinstance(error, MISTAKES) else FAILED) from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                _give_up_stdout()
            else:
                say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
            raise typer.Exit(FAILED) from None


def say(text: str) -> None:
    """Write one line to stderr, as every message of this program is written."""
    line = printable(" ".join(text.split()))
    with contextlib.suppress(OSError):  # nobody reads any more
        print(f"agentlab: {line}", file=sys.stderr, flush=True)


def mistake(text: str) -> typer.Exit:
    """Say what the user did wrong; give what to raise."""
    say(text)
    return typer.Exit(MISTAKE)


def _without_traceback(text: str) -> str:
    """Give the first line of what a unit's failure says; the whole of it is in the lab's log."""
    first, *more = text.strip().splitlines() or [""]
    return f"{first}; agentlab logs shows all of it" if more else first


def _from_here(file: str) -> str:
    """Give a path as it is reached from here, where it lies below: shorter, and as the user wrote it."""
    with contextlib.suppress(ValueError, OSError):
        return str(Path(file).relative_to(Path.cwd()))
    return file


def say_usage(error: Any) -> int:
    """Say what is wrong with the command line, and give the exit code."""
    context = error.ctx
    command = "agentlab" if context is None else f"agentlab {context.info_name}" if context.parent is not None else "agentlab"
    message = error.format_message().rstrip(".").replace(". Did you mean", "; did you mean")
    message = message.replace("? Did you mean", "?\n").partition("\n")[0]  # said by typer and by click
    say(f"{message[:1].lower()}{message[1:]}{'' if message.endswith('?') else ';'} see {command} --help")
    return MISTAKE


def _make_streams_forgiving() -> None:
    """Let a terminal that cannot show a character show ? instead, so that nothing ends in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _give_up_stdout() -> None:
    """Let the interpreter's last flush have somewhere to go: the reader of our pipe has gone."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
