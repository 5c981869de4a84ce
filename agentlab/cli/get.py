"""``agentlab get``: show an attribute of an agent or a service, or a parameter of an instrument."""

from __future__ import annotations

from typing import Annotated

import typer

from agentlab.cli.asking import Peer
from agentlab.cli.completion import complete_attribute
from agentlab.cli.options import File, Json, Limit, NsAddr, as_json
from agentlab.cli.peers import member_peer
from agentlab.cli.tables import printable

Attribute = Annotated[
    str,
    typer.Argument(
        metavar="NAME.ATTR", help="Such as Laser.power or dmm.voltage.", show_default=False, autocompletion=complete_attribute
    ),
]


def get(
    attribute: Annotated[
        str,
        typer.Argument(
            metavar="NAME.ATTR",
            help="Such as Laser.power or dmm.voltage; or an instrument alone: all that it measures.",
            show_default=False,
            autocompletion=complete_attribute,
        ),
    ],
    nsaddr: NsAddr = None,
    file: File = None,
    timeout: Limit = None,
    as_text_for_programs: Json = False,
) -> None:
    """Print an attribute of an agent or a service, or a parameter of an instrument, with its unit.

    An agent gives an attribute while its loop is busy, too; an instrument asks its device, in its turn.
    """
    with member_peer(attribute, "attribute", nsaddr, file, alone=True) as (whom, attr):
        if not attr:
            _all(whom, timeout, as_text_for_programs=as_text_for_programs)
            return
        if whom.parameter(attr, timeout) is not None:
            from agentlab.instruments.model.reading import Reading  # for instruments alone

            plain = whom.call("get", (attr,), safe=False, timeout=timeout)
            print(as_json(plain) if as_text_for_programs else printable(str(Reading.from_dict(plain)), keep="\n\t"))
            return
        if whom.is_instrument and attr not in whom.members(timeout):
            whom.call("get", (attr,), safe=False, timeout=timeout)  # raises, and knows the nearest parameter
        value = whom.attribute(attr, timeout)
    print(as_json(value) if as_text_for_programs else printable(str(value), keep="\n\t"))


def _all(whom: Peer, timeout: float | None, *, as_text_for_programs: bool) -> None:
    """Print whatever an instrument measures; the device is asked for all of it."""
    from agentlab.instruments.model.reading import Reading  # for instruments alone

    found = whom.call("snapshot", (True,), safe=False, timeout=timeout)
    if as_text_for_programs:
        print(as_json(found))
        return
    width = max(map(len, found), default=0)
    for name, plain in found.items():
        print(printable(f"{name:{width}}  {Reading.from_dict(plain)}"))
    if not found:
        print(f"{whom.name} has no parameter that can be read")
