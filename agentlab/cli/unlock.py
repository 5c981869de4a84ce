"""``agentlab unlock``: give an instrument free, one's own or by force."""

from __future__ import annotations

from typing import Annotated

import typer

from agentlab.cli.asking import Peer
from agentlab.cli.door import mistake
from agentlab.cli.options import File, Json, NsAddr, as_json
from agentlab.cli.peers import InstrumentName, instrument
from agentlab.cli.reservations import forget, note_of_user, reserved
from agentlab.errors import LockedError

LIMIT = 5.0


def unlock(
    name: InstrumentName,
    force: Annotated[
        str | None,
        typer.Option("--force", metavar="REASON", help="Break whatever lock there is, and say why.", show_default=False),
    ] = None,
    nsaddr: NsAddr = None,
    file: File = None,
    as_text_for_programs: Json = False,
) -> None:
    """End a reservation of an instrument that this user made with lock; or, with --force, anybody's.

    Who broke a lock, and why, stands in the log of the instrument. One that nobody has locked is fine.
    """
    with instrument(name, nsaddr, file) as whom:
        was = _break(whom, force) if force is not None else _release(whom)
    if as_text_for_programs:
        print(as_json({"name": name, "was_locked_by": was or None}))
    else:
        print(f"{name} is free{f'; it was locked by {was}' if was else ''}")


def _break(whom: Peer, reason: str) -> str:
    if not reason.strip():
        raise mistake("a lock is broken for a reason, which the others are told; write --force REASON")
    owner = str(whom.ask("lock_info", timeout=LIMIT)["owner"])
    whom.speak_as(note_of_user("unlock"))
    whom.call("break_lock", (reason,), safe=False, timeout=LIMIT)
    forget(whom.uri)
    return owner


def _release(whom: Peer) -> str:
    held = reserved(whom.uri)
    owner = str(whom.ask("lock_info", timeout=LIMIT)["owner"])
    if held is not None:
        try:
            whom.call("unlock", (held.token,), safe=False, timeout=LIMIT)
        except LockedError:  # somebody broke it, or it is over
            held = None
        forget(whom.uri)
    if held is None and owner:
        raise mistake(f"{whom.name} is locked by {owner}, which is no reservation of yours; --force REASON breaks it")
    return owner
