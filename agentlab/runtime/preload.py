"""What the fork server imports before it forks, so that its children need not: all that an agent's process uses."""

from __future__ import annotations

import asyncio

import cloudpickle

from agentlab.runtime import agentmain, nsmain

__all__ = ["agentmain", "asyncio", "cloudpickle", "nsmain"]
