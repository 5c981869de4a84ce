"""``agentlab get``: show an attribute of an agent or a service."""

from __future__ import annotations

from typing import Annotated

import typer

from agentlab.cli.completion import complete_attribute
from agentlab.cli.options import File, Json, Limit, NsAddr, as_json
from agentlab.cli.peers import peer, split

Attribute = Annotated[
    str,
    typer.Argument(metavar="NAME.ATTR", help="Such as Laser.power.", show_default=False, autocompletion=complete_attribute),
]


def get(
    attribute: Attribute, nsaddr: NsAddr = None, file: File = None, timeout: Limit = None, as_text_for_programs: Json = False
) -> None:
    """Print an attribute of an agent or a service; an agent gives it while its loop is busy, too."""
    name, attr = split(attribute, "attribute")
    with peer(name, nsaddr, file) as whom:
        value = whom.attribute(attr, timeout)
    print(as_json(value) if as_text_for_programs else value)
