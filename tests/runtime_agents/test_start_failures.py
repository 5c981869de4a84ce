"""An agent that cannot start says why, within its time, and leaves neither process nor name."""

from __future__ import annotations

import os
import socket

import psutil
import pytest

from agentlab import (
    AgentProcess,
    AgentStartError,
    NameServerUnavailableError,
    Proxy,
    UnknownNameError,
    config,
    run_agent,
    run_nameserver,
)
from agentlab.nameserver.client import NameServerClient
from tests.runtime_agents import actors
from tests.runtime_agents.helpers import gone, wait_until, within


def children():
    return {p.pid for p in psutil.Process().children(recursive=True)}


@pytest.fixture
def nothing_left(ns):
    run_agent("Warm").shutdown()
    wait_until(lambda: ns.agents() == [])
    before = children()
    yield
    wait_until(lambda: children() <= before, 2.0)
    assert ns.agents() == []


@pytest.mark.parametrize(
    ("base", "text"),
    [
        (actors.ExitsInInit, "exit code 3"),
        (actors.ExitsQuietlyInInit, "exit code 0"),
        (actors.KilledInInit, "SIGKILL"),
        (actors.FailsInInit, "the key that is missing"),
        (actors.FailsBeforeLoop, "before the loop"),
    ],
)
def test_agent_that_fails_while_starting(nothing_left, start_method, base, text):
    with within(5.0), pytest.raises(RuntimeError, match=text) as caught:
        run_agent("Broken", base=base, start_method=start_method)
    assert isinstance(caught.value, AgentStartError)


@pytest.mark.parametrize("base", [actors.FailsInInit, actors.FailsBeforeLoop])
def test_traceback_can_be_read_in_the_caller(nothing_left, base):
    with pytest.raises(RuntimeError, match="(?s)Traceback.*actors.py"):
        run_agent("Broken", base=base)


@pytest.mark.parametrize("hook", ["on_init", "before_loop"])
def test_the_first_line_says_why(nothing_left, hook):
    def fail(self):
        error = ConnectionError("no camera\nis plugged in")
        error.add_note("look at the cable")
        raise error

    with pytest.raises(AgentStartError) as caught:
        run_agent("Camera", base=type("Camera", (actors.Agent,), {hook: fail}))
    first, second, *rest = str(caught.value).splitlines()
    assert first == "agent 'Camera' failed while starting: ConnectionError: no camera is plugged in"
    assert second == "Traceback (most recent call last):"
    assert "look at the cable" in rest


@pytest.mark.parametrize("base", [actors.HangsInInit, actors.HangsBeforeLoop])
def test_agent_that_hangs_while_starting(nothing_left, start_method, base):
    with within(8.0), pytest.raises(AgentStartError, match="did not start within 1 s"):
        run_agent("Hung", base=base, timeout=1.0, start_method=start_method)


def test_same_name_can_be_used_after_a_failure(ns):
    with pytest.raises(AgentStartError):
        run_agent("Again", base=actors.HangsBeforeLoop, timeout=0.5)
    assert run_agent("Again").ping() == "pong"


def test_attribute_that_the_agent_has_already(nothing_left):
    with pytest.raises(RuntimeError, match='KeyError.*Agent already has "ping" attribute!'):
        run_agent("Painted", base=actors.Actor, attributes={"ping": "red"})


def test_attribute_with_a_default_of_the_users_own_class(ns):
    assert run_agent("Plain", base=actors.Actor, attributes={"colour": "red"}).colour == "red"


def test_attributes_are_there_in_on_init(ns, tmp_path):
    class Early(actors.Agent):
        def on_init(self):
            self.seen = self.given

    assert run_agent("Early", base=Early, attributes={"given": [1, 2]}).seen == [1, 2]


def test_name_already_registered(ns):
    first = run_agent("Twin")
    with within(3.0), pytest.raises(RuntimeError, match="name already registered") as caught:
        run_agent("Twin")
    assert "; shut that one down, or choose another name" in str(caught.value).splitlines()[0]
    assert "replace" not in str(caught.value)
    assert first.ping() == "pong"
    assert ns.agents() == ["Twin"]


ODD = ["", "two words", "with@at", "über", "a/b", "tab\there", "new\nline", "x" * 300, " ", "%s{}", "a.b"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_work_whole_or_are_refused_whole(ns, name):
    try:
        agent = run_agent(name)
    except AgentStartError as error:
        assert "name" in str(error)  # noqa: PT017 - either is fine, but whole
        assert ns.agents() == []
        return
    (listed,) = ns.agents()
    if name:
        assert listed == name
    assert Proxy(listed).get_attr("name") == listed
    agent.log_info("hello")
    agent.set_attr(x=3)
    assert ns.proxy(listed).x == 3
    agent.shutdown()
    wait_until(lambda: ns.agents() == [])


def test_empty_names_are_made_up_and_differ(ns):
    names = {run_agent().get_attr("name") for _ in range(3)}
    assert len(names) == 3
    assert set(ns.agents()) == names


def test_address_in_use(ns):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with within(3.0), pytest.raises(RuntimeError, match="Address already in use"):
            run_agent("Late", addr=f"127.0.0.1:{port}")
        with pytest.raises(RuntimeError, match="Address already in use"):
            run_nameserver(f"127.0.0.1:{port}")
    assert ns.agents() == []


class Unprivileged(actors.Agent):
    """Gives root's privileges up before its control daemon listens: root may bind any port."""

    def __init__(self, *args):
        super().__init__(*args)
        import encodings.idna  # noqa: F401 - for addresses; later nobody may be unable to read it

        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)


def test_port_of_the_system():
    config["SECURITY"] = "none"  # nobody may read root's key
    server = run_nameserver()
    try:
        with pytest.raises(RuntimeError, match="PermissionError: .*Permission denied: '127.0.0.1:22'"):
            run_agent("Low", base=Unprivileged, addr="127.0.0.1:22")
        assert server.agents() == []
    finally:
        server.shutdown(4.0)


def test_address_of_another_machine(ns):
    with within(3.0), pytest.raises(RuntimeError, match="refused to listen on '192.0.2.1'"):
        run_agent("Far", addr="192.0.2.1:0")


def test_no_name_server():
    with within(1.0), pytest.raises(NameServerUnavailableError, match="AGENTLAB_NAMESERVER_ADDRESS"):
        run_agent("Lost")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with within(5.0), pytest.raises(RuntimeError, match="no name server answers"):
        run_agent("Lost", nsaddr=address)
    with within(3.0), pytest.raises(NameServerUnavailableError):
        Proxy("Lost", nsaddr=address, timeout=0.5)


def test_unknown_agent_with_nearest_names(ns):
    run_agent("Alice"), run_agent("Bob")
    with within(2.0), pytest.raises(UnknownNameError, match="'Alcie'.*did you mean 'Alice'"):
        Proxy("Alcie", timeout=0.3)
    with pytest.raises(LookupError, match="Bob"):
        ns.proxy("Bobb", timeout=0.1)


def test_wrong_options_are_refused_before_anything_starts(ns):
    for options, text in (
        ({"on_error": "explode"}, "continue, stop, restart"),
        ({"serializer": "yaml"}, "pickle"),
        ({"transport": "pigeon"}, "ipc"),
        ({"start_method": "fork"}, "forkserver"),
        ({"base": 5}, "Agent"),
        ({"base": dict}, "Agent"),
        ({"attributes": {"x": (i for i in ())}}, "cannot be sent"),
        ({"addr": "nonsense:port"}, "nonsense"),
    ):
        with within(3.0), pytest.raises((ValueError, TypeError, RuntimeError), match=text):
            run_agent("Wrong", **options)
    assert ns.agents() == []


def test_agent_process_is_stopped_until_run(ns):
    process = AgentProcess("Slow", base=actors.Actor)
    assert process.start() == "Slow"
    assert process.is_alive()
    proxy = process.proxy()
    assert not proxy.is_running()
    assert proxy.events == ["init"]
    proxy.run()
    assert proxy.is_running()
    proxy.shutdown()
    process.join(10.0)
    assert not process.is_alive()
    assert process.exitcode == 0


def test_agent_process_positional_arguments(ns):
    process = AgentProcess("Placed", ns.addr(), "127.0.0.1", "json", "tcp", actors.Actor, {"extra": 1})
    process.start(run=True)
    proxy = process.proxy()
    assert proxy.extra == 1
    address = proxy.bind("PUSH")
    assert (address.transport, address.serializer) == ("tcp", "json")
    process.kill()
    process.join(10.0)
    assert gone(process.pid)
    wait_until(lambda: ns.agents() == [], 1.0)


def test_failed_start_in_before_loop_can_be_repeated(ns):
    process = AgentProcess("Careful", base=actors.FailsBeforeLoop)
    process.start()
    with pytest.raises(ZeroDivisionError):
        process.proxy().run()
    assert not process.proxy().is_running()
    process.proxy().set_method(before_loop=lambda agent: None)
    process.proxy().run()
    assert process.proxy().is_running()


def test_names_client_sees_nothing_after_a_kill_while_starting(ns):
    with pytest.raises(AgentStartError):
        run_agent("Ghost", base=actors.HangsInInit, timeout=0.3)
    with NameServerClient(ns.addr()) as names:
        assert names.find("Ghost") is None
