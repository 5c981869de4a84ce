"""``agentlab call``: call a method of an agent."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from agentlab.cli.door import FAILED, MISTAKE, say
from agentlab.cli.options import NsAddr, as_json, nameserver
from agentlab.errors import CommunicationError, nearest
from agentlab.nameserver.client import NameServerClient
from agentlab.runtime.calling import Caller


def call(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The agent's name.", show_default=False)],
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method, or an attribute to show.", show_default=False)],
    args: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARGS]...", help="JSON where it is JSON, else text: 5, '\"5\"', '[1, 2]', true, red.", show_default=False
        ),
    ] = None,
    nsaddr: NsAddr = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0.0, metavar="SECONDS", help="Limit for the answer.", show_default="none")
    ] = None,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Do not wait for the agent's loop: run beside it.")] = False,
    as_text_for_programs: Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")] = False,
) -> None:
    """Call a method of an agent and print what it gives; nothing when that is None.

    Write -- before arguments that begin with a dash: agentlab call Stage move -- -5
    """
    with NameServerClient(nameserver(nsaddr)) as names:
        uri = names.lookup(name).uri
    caller = Caller(name, uri, None)
    try:
        result = _ask(caller, method, [_value(text) for text in args or ()], safe=not unsafe, timeout=timeout)
    finally:
        caller.close()
    if as_text_for_programs:
        print(as_json(result))
    elif result is not None:
        print(result)


def _ask(caller: Caller, method: str, args: list[Any], *, safe: bool, timeout: float | None) -> Any:
    """Call the method, or give the attribute of that name; what the agent raises becomes one line and exit code 1."""
    methods = caller.call("_describe", (), {}, safe=False, timeout=timeout)["methods"]
    if method.startswith("_") or (args and method not in methods):
        say(f"agent {caller.name!r} has no public method {method!r}{nearest(method, methods)}")
        raise typer.Exit(MISTAKE)
    if method not in methods:
        return _attribute(caller, method, timeout)
    try:
        return caller.call(method, tuple(args), {}, safe=safe, timeout=timeout)
    except CommunicationError:
        raise
    except Exception as error:  # noqa: BLE001 - the method's own error, of whatever type: told in a line
        say(f"{caller.name}.{method}() raised {type(error).__name__}: {error}")
        raise typer.Exit(FAILED) from None


def _attribute(caller: Caller, name: str, timeout: float | None) -> Any:
    try:
        return caller.call("get_attr", (name,), {}, safe=False, timeout=timeout)
    except AttributeError as error:
        say(f"agent {caller.name!r} has no method or attribute {name!r}: {error}")
        raise typer.Exit(MISTAKE) from None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
