"""Whole programs as a shell starts them: Ctrl-C, ends without shutdown, kills, detached agents, name servers of their own."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from agentlab import NSProxy, config, run_nameserver
from tests.runtime_agents.helpers import Script, gone, run_script, wait_until, within

START = """
import os, sys, time
from agentlab import *

class Worker(Agent):
    def pid(self):
        return os.getpid()
    def nap(self, seconds):
        time.sleep(seconds)

ns = run_nameserver()
agents = [run_agent(f"agent{i}", base=Worker) for i in range(3)]
print("pids", *[agent.pid() for agent in agents], flush=True)
print("address", ns.addr(), flush=True)
"""


DETACHED = START.replace("run_nameserver()", "run_nameserver(detach=True)").replace("base=Worker)", "base=Worker, detach=True)")

BUSY = """
[agent.oneway.nap(60) for agent in agents]
[agent.future.nap(60) for agent in agents]
time.sleep(0.5)
print('busy')
time.sleep(60)
"""

TALKING = """
agents[0].log_info('hello')
agents[0].log_error('trouble')
agents[1].execute_as_function(print, 'printed')
ns.shutdown()
"""


def pids_of(script):
    return [int(text) for text in script.line("pids").split()]


def below(pid):
    return [p.pid for p in psutil.Process(pid).children(recursive=True)]


@pytest.fixture(params=["forkserver", "spawn"])
def method(request):
    return {"AGENTLAB_START_METHOD": request.param}


WAITS = ["time.sleep(60)", "agents[0].nap(60)", "sys.stdin.read()", "ns.proxy('nobody', timeout=60)"]


@pytest.mark.parametrize("waits_in", WAITS)
def test_ctrl_c(tmp_path, waits_in):
    with Script(tmp_path, START + f'print("waiting", flush=True)\n{waits_in}\n') as script:
        pids = pids_of(script)
        script.line("waiting")
        everything = below(script.process.pid)
        assert set(pids) < set(everything)
        time.sleep(0.2)
        with within(8.0 if "nap" in waits_in else 2.5):
            script.interrupt_group()
            code = script.end()
        assert code in (130, -signal.SIGINT), "a shell shows 130 for either"
        assert "Traceback" not in script.err, script.err
        assert script.err == ""
        wait_until(lambda: all(gone(pid) for pid in everything), 2.0)


def test_ctrl_c_with_both_start_methods(tmp_path, method):
    with Script(tmp_path, START + "time.sleep(60)\n", **method) as script:
        pids = pids_of(script)
        with within(3.0):
            script.interrupt_group()
            assert script.end() in (130, -signal.SIGINT)
        assert script.err == ""
        wait_until(lambda: all(gone(pid) for pid in pids), 2.0)


def test_ctrl_c_that_the_program_handles(tmp_path):
    code = (
        START
        + """
try:
    time.sleep(60)
except KeyboardInterrupt:
    print('caught', agents[0].ping(), len(ns.agents()))
    ns.shutdown()
"""
    )
    with Script(tmp_path, code) as script:
        pids_of(script)
        time.sleep(0.3)
        script.interrupt_group()
        assert script.end() == 0
        assert "caught pong 3" in script.out, "agents are not interrupted by the terminal: the program decides"
        assert script.err == ""


def test_ctrl_c_while_an_agent_is_being_started(tmp_path):
    code = """
    import time
    from agentlab import *

    class Slow(Agent):
        def on_init(self):
            print("starting", flush=True)
            time.sleep(60)

    ns = run_nameserver()
    run_agent("slow", base=Slow)
    """
    with Script(tmp_path, code) as script:
        script.line("starting")
        everything = below(script.process.pid)
        with within(3.0):
            script.interrupt_group()
            assert script.end() in (130, -signal.SIGINT)
        assert script.err == ""
        wait_until(lambda: all(gone(pid) for pid in everything), 2.0)


def test_a_users_own_traceback_is_still_shown(tmp_path):
    script = run_script(tmp_path, START + "raise ValueError('of the user')\n")
    assert script.code == 1
    assert "ValueError: of the user" in script.err
    wait_until(lambda: all(gone(pid) for pid in pids_of(script)), 3.0)


ENDS = {"": 0, "sys.exit(5)": 5, "os._exit(6)": 6, "os.kill(os.getpid(), 9)": -9, "os.kill(os.getpid(), 15)": -15}


@pytest.mark.parametrize(("end", "code"), ENDS.items())
def test_program_that_ends_without_shutting_down(tmp_path, end, code, method):
    script = run_script(tmp_path, START + end + "\n", **method)
    assert script.code == code
    wait_until(lambda: all(gone(pid) for pid in pids_of(script)), 3.0)
    assert script.err == ""


def test_program_without_guard_or_shutdown_prints_nothing_of_ours(tmp_path):
    script = run_script(tmp_path, "from agentlab import *\nrun_nameserver()\nrun_agent('a')\nprint('end')\n")
    assert (script.code, script.out, script.err) == (0, "end\n", "")


def test_detached_agents_survive(tmp_path, method):
    code = """
    import os
    from agentlab import *

    class Worker(Agent):
        def pid(self):
            return os.getpid()

    ns = run_nameserver(detach=True)
    kept = run_agent("kept", base=Worker, detach=True)
    lost = run_agent("lost", base=Worker)
    print("pids", kept.pid(), lost.pid())
    print("address", ns.addr())
    """
    script = run_script(tmp_path, code, **method)
    assert script.code == 0, script.err
    kept, lost = pids_of(script)
    names = NSProxy(script.line("address"))
    try:
        wait_until(lambda: gone(lost), 3.0)
        wait_until(lambda: names.agents() == ["kept"], config["LEASE"] + 1.0)
        assert names.proxy("kept").pid() == kept
    finally:
        names.shutdown()
    wait_until(lambda: gone(kept), 3.0)


def test_detached_agents_survive_a_ctrl_c(tmp_path):
    with Script(tmp_path, DETACHED + "time.sleep(60)\n") as script:
        pids = pids_of(script)
        names = NSProxy(script.line("address"))
        script.interrupt_group()
        assert script.end() in (130, -signal.SIGINT)
    try:
        assert sorted(names.agents()) == ["agent0", "agent1", "agent2"]
        assert names.proxy("agent1").pid() == pids[1]
    finally:
        names.shutdown()
    wait_until(lambda: all(gone(pid) for pid in pids), 3.0)


def test_detached_agent_can_be_killed(tmp_path):
    script = run_script(tmp_path, DETACHED)
    names = NSProxy(script.line("address"))
    pids = pids_of(script)
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: len(names.agents()) == 2, config["LEASE"] + 1.5)
    names.shutdown()
    wait_until(lambda: all(gone(pid) for pid in pids), 3.0)
    run_nameserver().shutdown()


def test_several_scripts(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with Script(tmp_path / "one", START + "sys.stdin.read()\n") as first:
        pids_of(first)
        second = run_script(
            tmp_path / "two",
            """
            from agentlab import *
            agent = NSProxy().proxy("agent1").wait_for_running()
            mine = run_agent("mine")
            print(agent.name, NSProxy().agents())
            mine.shutdown()
            """,
            AGENTLAB_NAMESERVER_ADDRESS=first.line("address"),
        )
        assert second.code == 0, second.err
        assert "agent1 ['agent0', 'agent1', 'agent2', 'mine']" in second.out


def test_sigterm_of_the_script(tmp_path):
    with Script(tmp_path, START + "time.sleep(60)\n") as script:
        pids = pids_of(script)
        script.process.send_signal(signal.SIGTERM)
        assert script.end() == -signal.SIGTERM
        wait_until(lambda: all(gone(pid) for pid in pids), 3.0)


def test_sigkill_of_the_script_while_its_agents_are_busy(tmp_path, method, socket_dir):
    with Script(tmp_path, START + BUSY, **method) as script:
        pids = pids_of(script)
        script.line("busy")
        script.process.kill()
        wait_until(lambda: all(gone(pid) for pid in pids), 3.0)
    run_nameserver().shutdown()  # whatever comes next removes the socket files: all that could have done it was killed
    assert not [path for path in socket_dir.iterdir() if path.name.startswith("agent-")]


def test_output_of_agents_reaches_the_programs_output(tmp_path):
    script = run_script(tmp_path, START + TALKING)
    assert script.code == 0
    assert "(agent0): hello" in script.out and "printed" in script.out
    assert "(agent0): trouble" in script.err and "trouble" not in script.out
