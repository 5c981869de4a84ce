"""What the fork server imports before it forks, so that agents need not: everything that an agent's process uses."""

from __future__ import annotations

import agentlab.runtime.agentmain
import agentlab.runtime.nsmain

__all__ = ["agentlab"]
