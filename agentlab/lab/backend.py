"""What the supervisor needs of whatever carries out its commands: real processes, or a test's."""

from __future__ import annotations

from typing import Protocol

from agentlab.agent.pulse import PulseState
from agentlab.lab.file import LabFile
from agentlab.lab.messages import Post, Start
from agentlab.lab.units import Unit


class Backend(Protocol):
    """Carries out commands. All methods return at once; they are called in the supervisor's thread."""

    def begin(self, post: Post) -> None:
        """Tell events there from now on; from any thread."""

    def use(self, lab: LabFile) -> None:
        """Start by this lab from now on."""

    def start(self, command: Start, unit: Unit) -> None:
        """Start a unit; Started or StartFailed follows, and Exited when one that came up has ended."""

    def stop(self, name: str, incarnation: int) -> None:
        """Ask a unit to end, starting or started."""

    def kill(self, name: str, incarnation: int) -> None:
        """End a unit now."""

    def pulse(self, name: str, incarnation: int) -> PulseState | None:
        """Give the pulse of an agent, where there is one."""

    def address(self, nameserver: str) -> str | None:
        """Give where a name server is, as far as it is known."""

    def close(self, timeout: float) -> None:
        """Finish what is done beside the supervising."""
