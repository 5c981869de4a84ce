"""``agentlab lock``: reserve an instrument for a while."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from agentlab.cli.options import File, Json, NsAddr, as_json, seconds
from agentlab.cli.peers import InstrumentName, instrument
from agentlab.cli.reservations import Reservation, keep, note_of_user, reserved
from agentlab.cli.tables import since_text
from agentlab.errors import AgentLabError

ANSWER = 5.0
"""Seconds that the answer may take besides the wait."""
LONGEST = 365 * 86400.0
"""Seconds that nobody exceeds."""


def lock(
    name: InstrumentName,
    lasting: Annotated[
        float, typer.Option("--for", parser=seconds(1.0, LONGEST), metavar="SECONDS", help="When it ends by itself.")
    ] = 600.0,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What others are told.", show_default=False)] = "",
    wait: Annotated[
        float, typer.Option("--wait", parser=seconds(0.0, LONGEST), metavar="SECONDS", help="For whoever has it now.")
    ] = 0.0,
    nsaddr: NsAddr = None,
    file: File = None,
    as_text_for_programs: Json = False,
) -> None:
    """Reserve an instrument: until it is unlocked, or its time is over, only this user's commands may change it.

    Reading stays free. The reservation outlives this command: set and call use it, and unlock ends it. Asking again while
    it lasts makes it last longer.
    """
    with instrument(name, nsaddr, file) as whom:
        earlier = reserved(whom.uri)
        token = None if earlier is None else earlier.token
        whom.speak_as(note_of_user("lock", token))
        granted = whom.call("acquire", (wait, lasting, reason, token), safe=False, timeout=wait + ANSWER)
        until = max(time.time() + lasting, 0.0 if earlier is None or granted["token"] != token else earlier.until)
        try:
            keep(Reservation(name, whom.uri, granted["token"], until, reason))
        except (AgentLabError, OSError):
            whom.call("unlock", (granted["token"],), safe=False, timeout=ANSWER)  # nobody would know its token
            raise
    if as_text_for_programs:
        print(as_json({"name": name, "until": until, "reason": reason}))
    else:
        print(f"{name} is locked until {since_text(until, time.time())}; agentlab unlock {name} ends that")
