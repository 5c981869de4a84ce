"""The life of an agent: hooks in their order, stop and run, shutdown before anything else goes, children of its own."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentlab import Agent, AgentProcess, AgentStartError, AliasError, Proxy, config, run_agent
from agentlab.runtime import agentmain
from tests.runtime_agents.actors import Actor, Parent, Recorder, StopWriter
from tests.runtime_agents.helpers import gone, wait_until, within


def test_order_of_hooks(ns, tmp_path):
    path = tmp_path / "events"
    agent = run_agent("recorder", base=Recorder, attributes={"path": str(path)})
    wait_until(lambda: "tick" in path.read_text())
    agent.stop()
    wait_until(lambda: not agent.is_running())
    agent.run()
    agent.shutdown()
    wait_until(lambda: path.read_text().endswith("stopped\n"))
    assert path.read_text().split() == ["init", "before_loop", "tick", "before_loop", "stopped"]


def test_registered_after_on_init_and_before_the_loop(ns, tmp_path):
    class Looks(Agent):
        def on_init(self):
            from agentlab import NSProxy

            self.at_init = NSProxy(self.nsaddr).agents()

        def before_loop(self):
            from agentlab import NSProxy

            self.at_loop = NSProxy(self.nsaddr).agents()

    agent = run_agent("looks", base=Looks)
    assert (agent.at_init, agent.at_loop) == ([], ["looks"])


def test_on_stop_runs_before_the_sockets_close(ns, tmp_path):
    path = tmp_path / "said"
    process = AgentProcess("stopper", base=StopWriter, attributes={"path": str(path)})
    process.start(run=True)
    process.proxy().shutdown()
    process.join(10.0)
    assert path.read_text() == "socket True\n", "once, while the socket was there"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_an_agent_cleanly_within_a_second(ns, tmp_path, number, start_method):
    path = tmp_path / "said"
    process = AgentProcess("stopper", base=StopWriter, attributes={"path": str(path)}, start_method=start_method)
    process.start(run=True)
    with within(1.0):
        os.kill(process.pid, number)
        process.join(3.0)
    assert process.exitcode == 0
    assert path.read_text() == "socket True\n"
    assert ns.agents() == []


def test_signal_ends_an_agent_that_never_ran(ns):
    process = AgentProcess("new")
    process.start()
    with within(1.0):
        process.terminate()
        process.join(3.0)
    assert process.exitcode == 0
    assert ns.agents() == []


def test_second_interrupt_kills(ns):
    process = AgentProcess("stuck", base=Actor)
    process.start(run=True)
    process.proxy().future.nap(30.0)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.2)
    assert process.is_alive(), "what it is handling gets some time"
    with within(1.0):
        os.kill(process.pid, signal.SIGINT)
        process.join(3.0)
    assert process.exitcode == -signal.SIGINT
    wait_until(lambda: ns.agents() == [], 1.0)


def test_term_gives_what_is_being_handled_some_time(ns, tmp_path):
    process = AgentProcess("busy", base=Actor)
    process.start(run=True)
    napping = process.proxy().future.nap(0.7)
    time.sleep(0.1)
    process.terminate()
    assert napping.result(3.0) == "slept"
    process.join(10.0)
    assert process.exitcode == 0


def _shorten_grace():
    agentmain.GRACE = 1.0


def test_term_ends_a_stuck_agent_by_its_deadline(ns):
    process = AgentProcess("stuck", base=Actor)
    process.start(run=True)
    process.proxy().execute_as_function(_shorten_grace)
    process.proxy().future.nap(60.0)
    time.sleep(0.1)
    with within(5.0):
        process.terminate()
        process.join(10.0)
    assert not process.is_alive()
    wait_until(lambda: ns.agents() == [], 1.0)


class Pusher(Agent):
    def on_init(self):
        self.bind("PUSH", alias="out")
        self.after(0.0, "push")

    def push(self):
        self.send("out", 1)  # nobody pulls


@pytest.mark.parametrize("ask", ["terminate", "shutdown"])
def test_a_message_that_nobody_takes_keeps_no_agent_from_ending(ns, ask):
    process = AgentProcess("pusher", base=Pusher)
    process.start(run=True)
    with within(8.0):
        process.terminate() if ask == "terminate" else process.proxy().unsafe.shutdown()
        process.join(10.0)
    assert process.exitcode == 0


def test_shutdown_is_quick_and_the_name_goes_first(ns):
    agent = run_agent("quick", base=Actor)
    pid = agent.pid()
    with within(1.0):
        assert agent.shutdown() is None
        wait_until(lambda: ns.agents() == [], 2.0)
        wait_until(lambda: gone(pid), 2.0)


def test_shutdown_from_inside(ns):
    agent = run_agent("inside", base=Actor)
    pid = agent.pid()
    agent.after(0, "shutdown")
    wait_until(lambda: gone(pid), 2.0)
    agent = run_agent("inside", base=Actor)
    pid = agent.pid()
    agent.unsafe.shutdown()
    wait_until(lambda: gone(pid), 2.0)
    wait_until(lambda: ns.agents() == [])


def test_unsent_messages_go_out_before_the_end(ns):
    """LINGER: what was sent before the shutdown arrives."""
    receiver = run_agent("receiver", base=Actor)
    receiver.number = 0
    address = receiver.bind("PULL", alias="in", handler=lambda agent, message: agent.set_attr(number=agent.number + 1))
    sender = run_agent("sender")
    sender.connect(address, alias="out")
    sender.execute_as_method(lambda agent: [agent.send("out", i) for i in range(500)] and None)
    sender.shutdown()
    wait_until(lambda: receiver.unsafe.number == 500)


def test_name_can_be_used_again_at_once(ns):
    for _ in range(10):
        agent = run_agent("again")
        agent.shutdown()
        wait_until(lambda: ns.agents() == [], 1.0)


def test_overridden_run_shutdown_and_kill(ns, tmp_path):
    class Special(Agent):
        def run(self):
            self.runs = getattr(self, "runs", 0) + 1
            super().run()

        def shutdown(self):
            (tmp_path / "shutdown").touch()
            super().shutdown()

        def kill(self):
            (tmp_path / "kill").touch()
            super().kill()

        def pid(self):
            return os.getpid()

    agent = run_agent("special", base=Special)
    assert agent.runs == 1
    pid = agent.pid()
    agent.shutdown()
    wait_until(lambda: gone(pid), 2.0)
    assert (tmp_path / "shutdown").exists()
    agent = run_agent("special", base=Special)
    pid = agent.pid()
    agent.oneway.kill()
    wait_until(lambda: gone(pid), 2.0)
    assert (tmp_path / "kill").exists()
    wait_until(lambda: ns.agents() == [], 1.0)


def test_on_stop_that_raises_or_exits_keeps_nothing_from_ending(ns):
    class Bad(Agent):
        def on_stop(self):
            raise ValueError("no")

    class Exits(Agent):
        def on_stop(self):
            raise SystemExit(4)

    for base in (Bad, Exits):
        process = AgentProcess("bad", base=base)
        process.start(run=True)
        process.proxy().shutdown()
        process.join(10.0)
        assert not process.is_alive()
        wait_until(lambda: ns.agents() == [], 0.5)


def test_proxies_in_on_init_and_on_stop(ns, tmp_path):
    other = run_agent("other", base=Actor)

    class Uses(Agent):
        def on_init(self):
            self.sum = self.friend.add(1)

        def on_stop(self):
            me = Proxy(self.name, self.nsaddr)
            (tmp_path / "said").write_text(f"{self.friend.add(2)} {me.get_attr('sum')} {me.own()}")

        def own(self):
            return "own"

    agent = run_agent("uses", base=Uses, attributes={"friend": other})
    assert agent.sum == 2
    with within(2.0):
        agent.shutdown()
        wait_until(lambda: ns.agents() == ["other"])
    assert (tmp_path / "said").read_text() == "3 2 own"


def test_agent_that_exits_by_itself_leaves_neither_name_nor_files(ns, socket_dir):
    for code in (0, 3):
        process = AgentProcess("leaver", base=Actor)
        process.start(run=True)
        process.proxy().bind("PUSH", alias="out", addr="of-the-leaver")
        process.proxy().oneway.execute_as_function(os._exit, code)
        process.join(10.0)
        assert process.exitcode == code
        wait_until(lambda: ns.agents() == [], 1.0)
        wait_until(lambda: not (socket_dir / "of-the-leaver").exists(), 1.0)


def test_process_object_is_used_again(ns):
    process = AgentProcess("again", base=Actor)
    for _ in range(2):
        process.start(run=True)
        with pytest.raises(RuntimeError, match="started already"):
            process.start()
        assert process.proxy().add(1) == 2
        process.proxy().shutdown()
        process.join(10.0)
        assert not process.is_alive()


def test_many_are_started_at_once(ns):
    with ThreadPoolExecutor(20) as pool:
        agents = list(pool.map(lambda i: run_agent(f"a{i}", base=Actor), range(40)))
    assert len({agent.pid() for agent in agents}) == 40
    assert len(ns.agents()) == 40


def test_only_one_of_many_gets_the_name(ns):
    def start(_):
        try:
            return run_agent("one", base=Actor).pid()
        except AgentStartError as error:
            assert "name already registered" in str(error)  # noqa: PT017 - either is fine
            return None

    with ThreadPoolExecutor(10) as pool:
        pids = [pid for pid in pool.map(start, range(10)) if pid]
    assert len(pids) == 1
    assert ns.agents() == ["one"]
    assert Proxy("one").pid() == pids[0]


def test_idle_hook(ns):
    class Idle(Agent):
        def on_init(self):
            self.times = []

        def idle(self):
            self.times.append(time.monotonic())

    agent = run_agent("idle", base=Idle)
    wait_until(lambda: len(agent.unsafe.times) >= 2, 4.0)
    first, second, *_ = agent.unsafe.times
    assert 0.9 < second - first < 1.5


def test_timers_started_in_on_init(ns):
    class Ticking(Agent):
        def on_init(self):
            self.ticks = 0
            self.each(0.02, "tick", alias="clock")

        def tick(self):
            self.ticks += 1

    agent = run_agent("ticking", base=Ticking)
    wait_until(lambda: agent.ticks > 3)
    assert agent.list_timers() == ["clock"]
    agent.stop()
    wait_until(lambda: not agent.is_running())
    before = agent.unsafe.ticks
    time.sleep(0.1)
    assert agent.unsafe.ticks == before, "a stopped agent's timers stand still"
    agent.run()
    wait_until(lambda: agent.ticks > before)


def test_messages_wait_while_an_agent_is_stopped(ns):
    receiver = run_agent("receiver", base=Actor)
    address = receiver.bind("PULL", alias="in", handler=lambda agent, message: agent.events.append(message))
    sender = run_agent("sender")
    sender.connect(address, alias="out")
    receiver.stop()
    wait_until(lambda: not receiver.is_running())
    sender.send("out", "kept")
    time.sleep(0.1)
    assert "kept" not in receiver.events
    receiver.run()
    wait_until(lambda: "kept" in receiver.events)


def test_bare_agent_needs_no_process():
    agent = Agent("bare")
    assert agent.name == "bare"
    assert not agent.is_running()
    agent.set_attr(x=1)
    assert agent.get_attr("x") == 1
    with pytest.raises(AliasError):
        agent.addr("nothing")
    agent._close()


def test_bare_agent_binds_and_runs_in_this_thread():
    class Counting(Agent):
        def on_init(self):
            self.count = 0

        def tick(self):
            self.count += 1
            if self.count == 3:
                self.stop()

    agent = Counting("bare")
    agent.on_init()
    agent.each(0, "tick")
    agent.run()
    assert agent.count == 3
    agent._close()


@pytest.mark.parametrize("way", ["subprocess", "multiprocessing", "fork"])
def test_agents_may_start_processes(ns, way):
    agent = run_agent("parent", base=Parent)
    assert getattr(agent, way)() == "from the child"
    assert agent.ping() == "pong"
    assert agent.echo("still alive") == "still alive"


def test_processes_forked_by_an_agent_end_when_they_are_told_to(ns):
    agent = run_agent("parent", base=Parent)
    with within(1.5):
        assert agent.fork_sleeper(signal_it=True) == -signal.SIGTERM
    assert agent.ping() == "pong"


def test_process_forked_by_an_agent_does_not_keep_a_killed_agent_alive(ns, socket_dir):
    agent = run_agent("parent", base=Parent)
    agent.bind("PUSH", alias="out", addr="of-the-parent")
    sleeper = agent.fork_sleeper()
    calling = agent.future.execute_as_function(time.sleep, 30)
    time.sleep(0.2)
    try:
        os.kill(agent.unsafe.pid(), signal.SIGKILL)
        with within(1.0):
            assert isinstance(calling.exception(5.0), ConnectionError)
            wait_until(lambda: ns.agents() == [])
            wait_until(lambda: not (socket_dir / "of-the-parent").exists())
        assert not gone(sleeper)
        with within(3.0), pytest.raises(ConnectionError):
            agent.ping()
    finally:
        os.kill(sleeper, signal.SIGKILL)


def test_fork_that_leaves_by_an_exception_takes_nothing_away(ns):
    agent = run_agent("parent", base=Parent)
    agent.bind("PUSH", alias="out")
    agent.unsafe.fork_and_exit()
    assert ns.agents() == ["parent"]
    assert agent.ping() == "pong"
    assert agent.has_socket("out")


def test_agents_may_start_agents(ns, start_method):
    agent = run_agent("parent", base=Parent, start_method=start_method)
    agent.start_agent("child", start_method)
    assert ns.agents() == ["child", "parent"]
    child = Proxy("child", timeout=1.0)
    assert child.add(1) == 2
    pid = child.pid()
    agent.shutdown()
    wait_until(lambda: gone(pid), 3.0, "an agent's agents end with it")
    wait_until(lambda: ns.agents() == [], 2.0)


def test_agents_started_by_a_killed_agent_end(ns):
    agent = run_agent("parent", base=Parent)
    agent.start_agent("child", None)
    pid = Proxy("child").pid()
    agent.oneway.kill()
    wait_until(lambda: gone(pid), 3.0)
    wait_until(lambda: ns.agents() == [], config["LEASE"] + 2.0)


def test_twenty_agents_stop_in_parallel(ns):
    agents = [run_agent(f"a{i}", base=Actor) for i in range(20)]
    pids = [agent.pid() for agent in agents]
    with within(3.0):
        ns.shutdown_agents()
        wait_until(lambda: all(gone(pid) for pid in pids), 3.0)


def test_inherited_class_attributes_and_state(ns):
    agent = run_agent("agent", base=Actor)
    assert agent.get_attr("colour") == "blue"
    assert agent.sockets() == {}
    assert agent.ending() is False
