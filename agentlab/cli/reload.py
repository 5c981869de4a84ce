"""``agentlab reload``: go over to what the lab file says now."""

from __future__ import annotations

from agentlab.cli.labs import DEFAULT, FileArgument
from agentlab.cli.options import Json, as_json
from agentlab.cli.owned import owners, tell
from agentlab.lab.client import LabClient


def reload(file: FileArgument = DEFAULT, as_text_for_programs: Json = False) -> None:
    """Have a running lab read its file again, and restart only what has changed.

    With a problem in the file nothing changes, and the exit code is 2.
    """
    with LabClient(file) as client:
        owned = owners(client.status())
        changes = client.reload()
    for unit in (*changes.get("changed", ()), *changes.get("removed", ())):
        tell(unit, owned)
    if as_text_for_programs:
        print(as_json(changes))
        return
    told = [key for key in ("added", "changed", "removed") if changes.get(key)]
    for key in told:
        print(f"{key}: {', '.join(changes[key])}")
    count = len(changes.get("unchanged", ()))
    print(f"{'' if told else 'nothing has changed; '}{'1 unit as it was' if count == 1 else f'{count} units as they were'}")
