"""``agentlab call``: call a method of an agent or a service."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from agentlab.cli.asking import Peer
from agentlab.cli.door import INTERRUPTED, mistake, say
from agentlab.cli.options import File, Limit, Name, NsAddr, as_json, value_of
from agentlab.cli.peers import peer
from agentlab.cli.tables import printable
from agentlab.errors import AgentLabError

SAFE = "safe"
"""What brings an instrument into its safe state, as ``proxy.safe()`` does."""

PATIENCE = 1.0
"""Seconds that an instrument has to say what it goes on with."""

_NAMED = re.compile(r"([^\W\d]\w*)=(.*)", re.DOTALL)


def call(
    name: Name,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method, or an attribute to show.", show_default=False)],
    args: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARGS]...",
            help="JSON where it is JSON, else text: 5, '\"5\"', '[1, 2]', true, red; by name as power=5.",
            show_default=False,
        ),
    ] = None,
    nsaddr: NsAddr = None,
    file: File = None,
    timeout: Limit = None,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Do not wait for the agent's loop: run beside it.")] = False,
    as_text_for_programs: Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")] = False,
) -> None:
    """Call a method of an agent or a service and print what it gives; nothing when that is None.

    Write -- before a text that begins with a dash; numbers need none: agentlab call Stage move -5. A text with = in it
    that is no named argument is written as JSON: '"a=b"'. An instrument's safe is its safe state: agentlab call psu safe
    """
    with peer(name, nsaddr, file) as whom, telling_what_goes_on(whom, method):
        result = _ask(whom, method, *_arguments(args or []), safe=not unsafe, timeout=timeout)
    if as_text_for_programs:
        print(as_json(result))
    elif result is not None:
        print(printable(str(result), keep="\n\t"))


def _ask(whom: Peer, method: str, args: list[Any], kwargs: dict[str, Any], *, safe: bool, timeout: float | None) -> Any:
    """Call the method, or give the attribute of that name."""
    if method == SAFE and whom.is_instrument:
        return whom.call("make_safe", args, kwargs, safe=False, timeout=timeout)
    if whom.has_method(method, timeout):
        return whom.call(method, args, kwargs, safe=safe, timeout=timeout)
    if args or kwargs or method.startswith("_"):
        raise whom.unknown(method, "public method", whom.methods, timeout)
    if method not in whom.members(timeout):
        raise whom.unknown(method, "public method or attribute", whom.members, timeout)
    return whom.attribute(method, timeout)


@contextlib.contextmanager
def telling_what_goes_on(whom: Peer, method: str) -> Iterator[None]:
    """Say, where a block is interrupted, that an instrument's action is not: a caller that leaves ends nothing."""
    try:
        yield
    except KeyboardInterrupt:
        if whom.is_instrument and (said := _goes_on(whom, method)):
            say(f"interrupted; {said}")
            raise typer.Exit(INTERRUPTED) from None
        raise


def _goes_on(whom: Peer, method: str) -> str:
    """Give what an instrument goes on with, and what ends that; empty: nothing, or it does not say."""
    try:
        status = whom.ask("status", timeout=PATIENCE)
    except AgentLabError:
        return ""
    if status["action"] == method:
        return f"{whom.name} goes on with {method}; agentlab call {whom.name} cancel ends it"
    waits = any(one["what"] == method for one in status["queue"])
    return f"{method} waits for {status['action'] or 'its turn'}, and {whom.name} does it then" if waits else ""


def _arguments(texts: list[str]) -> tuple[list[Any], dict[str, Any]]:
    """Give the positional and the named arguments of a call."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in texts:
        named = _NAMED.fullmatch(text)
        if named is None:
            args.append(value_of(text))
            continue
        key = named.group(1)
        if key in kwargs:
            raise mistake(f"the argument {key!r} is given twice; give it once")
        kwargs[key] = value_of(named.group(2))
    return args, kwargs
