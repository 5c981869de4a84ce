"""``agentlab stop``: stop units of a running lab."""

from __future__ import annotations

from agentlab.cli.labs import DEFAULT, FileOption
from agentlab.cli.options import Json
from agentlab.cli.unitverbs import Names, for_each
from agentlab.lab.client import LabClient


def stop(names: Names, file: FileOption = DEFAULT, as_text_for_programs: Json = False) -> None:
    """Stop units of a running lab; each stays stopped until somebody starts it."""
    for_each(file, names, LabClient.stop, "is stopped", as_json_text=as_text_for_programs, ends_locks=True)
