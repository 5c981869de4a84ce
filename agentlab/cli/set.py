"""``agentlab set``: set an attribute of an agent or a service."""

from __future__ import annotations

from typing import Annotated

import typer

from agentlab.cli.get import Attribute
from agentlab.cli.options import File, Json, Limit, NsAddr, as_json, value_of
from agentlab.cli.peers import mistake, peer, split
from agentlab.errors import nearest


def set(  # noqa: A001 - a verb's function has its name
    attribute: Attribute,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="JSON where it is JSON, else text: 5, '[1, 2]', true, red.", show_default=False)
    ],
    nsaddr: NsAddr = None,
    file: File = None,
    timeout: Limit = None,
    new: Annotated[bool, typer.Option("--new", help="Make the attribute if there is none of that name.")] = False,
    as_text_for_programs: Json = False,
) -> None:
    """Set an attribute of an agent or a service; an agent does it in its loop, between two messages.

    Write -- before a value that begins with a dash: agentlab set Stage.position -- -5
    """
    name, attr = split(attribute, "attribute")
    wanted = value_of(value)
    with peer(name, nsaddr, file) as whom:
        whom.check_public(attr)
        if attr in whom.methods(timeout):
            raise mistake(f"{attr!r} of {name!r} is a method; call it: agentlab call {name} {attr}")
        known = whom.attributes(timeout)
        if attr not in known and not new:
            whom.check_runs(attr, timeout)
            raise mistake(f"{name!r} has no attribute {attr!r}{nearest(attr, known, last=whom.common())}; --new makes one")
        whom.call("set_attr", (), {attr: wanted}, timeout=timeout, shown=f"setting {attribute}")
    if as_text_for_programs:
        print(as_json({"name": name, "attribute": attr, "value": wanted}))
    else:
        print(f"{attribute} = {wanted}")
