"""``agentlab start``: start units of a running lab."""

from __future__ import annotations

from agentlab.cli.labs import DEFAULT, FileOption
from agentlab.cli.options import Json
from agentlab.cli.unitverbs import Names, for_each
from agentlab.lab.client import LabClient


def start(names: Names, file: FileOption = DEFAULT, as_text_for_programs: Json = False) -> None:
    """Start units of a running lab, and what they need; returns when they are up."""
    for_each(file, names, LabClient.start, "is up", as_json_text=as_text_for_programs)
