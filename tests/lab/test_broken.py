"""What a clumsy or hostile user did to labs, and what broke: each test failed once."""

from __future__ import annotations

import threading
import time

from agentlab import Agent
from agentlab.agent.pulse import NOTE_AFTER, TURNED, read_pulse
from agentlab.agent.vitals import Vitals
from agentlab.settings import runtime_dir
from agentlab.testing.waiting import wait_condition


def test_a_loop_that_has_nothing_to_do_waits_for_nobody():
    """Else it could be frozen for three seconds more before anybody began to count."""
    path = str(runtime_dir() / "pulse-of-an-idle-loop")
    agent = Agent("Idle")
    agent._loop.pulse.open(path)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        assert wait_condition(lambda: agent.is_running() and agent._loop.mailbox.sleeping)
        agent._loop.pulse.cells[TURNED] = time.monotonic() - NOTE_AFTER - 0.1
        Vitals(agent).sample()
        assert read_pulse(path).busy == 0
    finally:
        agent.stop()
        thread.join(5)
        agent._close()
