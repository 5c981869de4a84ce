"""``agentlab set``: set an attribute of an agent or a service, or a parameter of an instrument."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agentlab.cli.asking import Peer
from agentlab.cli.door import mistake
from agentlab.cli.get import Attribute
from agentlab.cli.options import File, Json, Limit, NsAddr, as_json, value_of
from agentlab.cli.peers import member_peer
from agentlab.cli.tables import printable
from agentlab.errors import nearest


def set(  # noqa: A001 - a verb's function has its name
    attribute: Attribute,
    value: Annotated[
        list[str],
        typer.Argument(
            metavar="VALUE...",
            help="JSON where it is JSON, else text: -5, '[1, 2]', true, red; of an instrument also 5 mV. Words are joined.",
            show_default=False,
        ),
    ],
    nsaddr: NsAddr = None,
    file: File = None,
    timeout: Limit = None,
    new: Annotated[bool, typer.Option("--new", help="Make the attribute if there is none of that name.")] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance", metavar="T", help="Wait until an instrument's read-back is as near as this.", show_default="no wait"
        ),
    ] = None,
    as_text_for_programs: Json = False,
) -> None:
    """Set an attribute of an agent or a service, in its loop; or a parameter of an instrument, within its limits.

    A number may have a unit: agentlab set magnet.field -300 mT. Write -- before a text that begins with a dash.
    """
    text = " ".join(value)
    wanted = value_of(text)
    with member_peer(attribute, "attribute", nsaddr, file) as (whom, attr):
        parameter = whom.parameter(attr, timeout)
        if parameter is None and tolerance is not None:
            raise mistake(
                f"{attribute} is no parameter of an instrument, so there is no read-back to wait for; leave --tolerance out"
            )
        if parameter is not None:
            wanted = text if parameter.get("type") == "str" else wanted
            waits = {} if tolerance is None else {"tolerance": tolerance, "timeout": timeout}
            whom.call("set", (attr, wanted), waits, safe=False, timeout=timeout)
        else:
            _set_attribute(whom, attribute, attr, wanted, timeout, new=new)
    unit = (parameter or {}).get("unit", "") if not isinstance(wanted, (str, bool)) else ""
    if as_text_for_programs:
        print(as_json({"name": whom.name, "attribute": attr, "value": wanted, **({"unit": unit} if parameter else {})}))
    else:
        print(printable(f"{attribute} = {wanted}{f' {unit}' if unit else ''}"))


def _set_attribute(whom: Peer, shown: str, attr: str, wanted: Any, timeout: float | None, *, new: bool) -> None:
    name = whom.name
    whom.check_public(attr)
    if attr in whom.methods(timeout):
        raise mistake(f"{attr!r} of {name!r} is a method; call it: agentlab call {name} {attr}")
    known = whom.attributes(timeout)
    if attr not in known and whom.is_instrument:
        whom.call("set", (attr, wanted), safe=False, timeout=timeout)  # raises, and knows the nearest parameter
    if attr not in known and not new:
        whom.check_runs(attr, timeout)
        raise mistake(f"{name!r} has no attribute {attr!r}{nearest(attr, known, last=whom.common())}; --new makes one")
    whom.call("set_attr", (), {attr: wanted}, timeout=timeout, shown=f"setting {shown}")
