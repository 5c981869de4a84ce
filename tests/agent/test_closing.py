"""Closing sockets, and what is left of them: aliases, files, names in use; handlers that end their own socket or agent."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from agentlab import Agent, AliasError, MessageTimeoutError, WrongAddressError, run_agent
from agentlab.testing import agent_dies, wait_agent_attr, wait_condition
from tests.agent.live import TRANSPORTS, Collector, echo, take

KINDS = [
    ("PUSH", None),
    ("PULL", take),
    ("PUB", None),
    ("SUB", take),
    ("REQ", None),
    ("REP", echo),
    ("ASYNC_REP", echo),
    ("SYNC_PUB", echo),
]


def files(socket_dir):
    """The socket and lock files of data sockets; those of the control plane stay as long as the agent."""
    return sorted(p.name for p in Path(socket_dir).iterdir() if not p.name.startswith("agent-"))


@pytest.mark.parametrize("transport", [*TRANSPORTS, "inproc"])
@pytest.mark.parametrize(("kind", "handler"), KINDS)
def test_a_closed_alias_is_forgotten_everywhere(ns, socket_dir, kind, handler, transport):
    agent = run_agent("agent", base=Collector)
    before = files(socket_dir)
    address = agent.bind(kind, alias="a", handler=handler, transport=transport)
    assert agent.has_socket("a")
    assert agent.has_socket(address)
    assert agent.sockets() == {"a": address}
    agent.close("a")
    assert not agent.has_socket("a")
    assert not agent.has_socket(address)
    assert agent.sockets() == {}
    assert files(socket_dir) == before
    for use in (lambda: agent.addr("a"), lambda: agent.close("a"), lambda: agent.send("a", 1), lambda: agent.recv("a", 0)):
        with pytest.raises(AliasError, match="no socket has the alias 'a'"):
            use()
    other = agent.bind(kind, alias="a", handler=handler, transport=transport)
    assert agent.addr("a") == other


def test_closing_by_address_forgets_the_alias_too(ns):
    agent = run_agent("agent")
    address = agent.bind("PUSH", alias="a")
    agent.close(address)
    assert not agent.has_socket("a")


def test_close_all(ns, socket_dir):
    agent = run_agent("agent", base=Collector)
    before = files(socket_dir)
    for number, (kind, handler) in enumerate(KINDS):
        agent.bind(kind, alias=f"a{number}", handler=handler)
    assert len(agent.sockets()) == len(KINDS)
    agent.close_all()
    assert agent.sockets() == {}
    assert files(socket_dir) == before
    agent.close_all()


@pytest.mark.parametrize("end", ["close", "shutdown", "kill"])
def test_a_client_that_ends_never_removes_a_servers_file(ns, end):
    server, client = run_agent("server", base=Collector), run_agent("client")
    address = server.bind("PULL", handler="take", transport="ipc")
    client.connect(address, alias="out")
    client.send("out", 1)
    assert wait_agent_attr(server, value=[1])
    if end == "close":
        client.close("out")
    elif end == "shutdown":
        client.shutdown()
        assert agent_dies("client", ns)
    else:
        client.oneway.kill()
        assert agent_dies("client", ns, timeout=8)
    assert Path(address.address).exists()
    other = run_agent("other")
    other.connect(address, alias="out")
    other.send("out", 2)
    assert wait_agent_attr(server, value=[1, 2])


def test_ipc_files_go_with_the_agent(ns, socket_dir):
    before = files(socket_dir)
    agent = run_agent("agent")
    agent.bind("PUSH", transport="ipc")
    agent.bind("REP", handler=echo, transport="ipc", addr="named")
    assert any(name.startswith("named") for name in files(socket_dir))
    agent.shutdown()
    assert agent_dies("agent", ns)
    assert wait_condition(lambda: files(socket_dir) == before)


def test_socket_files_are_private(ns):
    agent = run_agent("agent")
    path = Path(agent.bind("PUSH", transport="ipc").address)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_an_ipc_name_in_use_is_refused_and_its_owner_undisturbed(ns):
    owner, other, client = run_agent("owner", base=Collector), run_agent("other", base=Collector), run_agent("client")
    address = owner.bind("PULL", handler="take", transport="ipc", addr="name")
    for agent in (other, owner):
        with pytest.raises(WrongAddressError, match="in use"):
            agent.bind("PULL", alias="x", handler="take", transport="ipc", addr="name")
        assert not agent.has_socket("x")
    client.connect(address, alias="out")
    client.send("out", 1)
    assert wait_agent_attr(owner, value=[1])
    owner.close(address)
    assert other.bind("PULL", handler="take", transport="ipc", addr="name") == address
    client.send("out", 2)
    assert wait_agent_attr(other, value=[2])


def test_the_ipc_name_of_a_killed_agent_can_be_had_again(ns):
    owner, other = run_agent("owner"), run_agent("other")
    address = owner.bind("PUSH", transport="ipc", addr="name")
    owner.oneway.kill()
    assert agent_dies("owner", ns, timeout=8)
    assert other.bind("PUSH", transport="ipc", addr="name") == address


def test_a_tcp_port_in_use_is_refused(ns):
    owner, other = run_agent("owner"), run_agent("other")
    address = owner.bind("PUSH", transport="tcp")
    with pytest.raises(WrongAddressError, match="Address already in use.*cannot bind 127.0.0.1"):
        other.bind("PUSH", alias="x", transport="tcp", addr=address.address)
    assert not other.has_socket("x")
    owner.close(address)

    def is_free():
        try:
            return other.bind("PUSH", transport="tcp", addr=str(address.address)).address == address.address
        except WrongAddressError:  # ZeroMQ's own thread lets go of the port, a moment after the socket was closed
            return False

    assert wait_condition(is_free, timeout=10)


@pytest.mark.parametrize("name", ["a/b", "..", "../x", "a\0b", ""])
def test_ipc_names_that_leave_the_directory_are_refused(ns, name):
    agent = run_agent("agent")
    if name == "":
        assert agent.bind("PUSH", transport="ipc", addr=name)  # as None: one is made up
        return
    with pytest.raises(WrongAddressError):
        agent.bind("PUSH", transport="ipc", addr=name)


def test_an_inproc_name_in_use_is_refused(ns):
    agent = run_agent("agent")
    agent.bind("PUSH", transport="inproc", addr="x")
    with pytest.raises(WrongAddressError, match="in use"):
        agent.bind("PUSH", transport="inproc", addr="x")


def test_what_was_sent_before_closing_arrives(ns):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    address = receiver.bind("PULL", handler="take")
    sender.connect(address, alias="out")
    sender.execute_as_method(_send_and_close)
    assert wait_agent_attr(receiver, value=list(range(100)))


def _send_and_close(agent):
    for number in range(100):
        agent.send("out", number)
    agent.close("out")


def test_what_was_sent_before_the_shutdown_arrives(ns):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    sender.connect(receiver.bind("PULL", handler="take"), alias="out")
    sender.execute_as_method(_send_and_shutdown)
    assert wait_agent_attr(receiver, value=list(range(100)))
    assert agent_dies("sender", ns)


def _send_and_shutdown(agent):
    for number in range(100):
        agent.send("out", number)
    agent.shutdown()


@pytest.mark.parametrize(("server_kind", "client_kind"), [("PUSH", "PULL"), ("PUB", "SUB")])
@pytest.mark.parametrize("serializer", ["pickle", "raw", "json"])
def test_a_handler_that_closes_its_own_socket(ns, server_kind, client_kind, serializer):
    def close(agent, message):
        agent.received.append(message)
        agent.close("in")

    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    receiver.connect(sender.bind(server_kind, alias="out", serializer=serializer), alias="in", handler=close)
    if server_kind == "PUB":
        sender.wait_for_subscribers("out")
    sender.send_many("out", ["1", "2", "3"])
    assert wait_agent_attr(receiver, length=1)
    assert wait_condition(lambda: not receiver.has_socket("in"))
    assert receiver.error_count() == 0
    assert [bytes(m, "ascii") if isinstance(m, str) else m for m in receiver.received] == [b"1"]


def test_a_handler_that_closes_all_sockets_while_others_wait(ns):
    def close_all(agent, message):
        agent.received.append(message)
        agent.close_all()

    senders, receiver = [run_agent(f"sender{i}") for i in range(3)], run_agent("receiver", base=Collector)
    for number, sender in enumerate(senders):
        receiver.connect(sender.bind("PUSH", alias="out"), alias=f"in{number}", handler=close_all)
    for sender in senders:
        with contextlib.suppress(MessageTimeoutError):  # the receiver may be closed already
            sender.send("out", 1, timeout=0.5)
    assert wait_agent_attr(receiver, length=1)
    assert wait_condition(lambda: receiver.sockets() == {})
    assert receiver.error_count() == 0
    assert receiver.is_running()


def test_a_handler_that_shuts_its_agent_down(ns):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    receiver.connect(sender.bind("PUSH", alias="out"), handler=lambda agent, message: agent.shutdown())
    sender.send("out", 1)
    assert agent_dies("receiver", ns)


def test_a_handler_that_stops_its_agent_and_the_agent_runs_again(ns):
    def stop(agent, message):
        agent.received.append(message)
        agent.stop()

    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    receiver.connect(sender.bind("PUSH", alias="out"), handler=stop)
    for number in range(3):
        sender.send("out", number)
        assert wait_condition(lambda wanted=list(range(number + 1)): receiver.get_attr("received") == wanted)
        assert wait_condition(lambda: not receiver.is_running())
        receiver.run()
        assert receiver.is_running()


@pytest.mark.parametrize("kind", ["PULL", "SUB"])
def test_sys_exit_in_a_handler_is_counted_and_ends_nobody(ns, kind):
    def leave(agent, message):
        agent.received.append(message)
        raise SystemExit(3)

    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    receiver.connect(sender.bind({"PULL": "PUSH", "SUB": "PUB"}[kind], alias="out"), handler=leave)
    if kind == "SUB":
        sender.wait_for_subscribers("out")
    sender.send("out", 1)
    sender.send("out", 2)
    assert wait_agent_attr(receiver, value=[1, 2])
    assert wait_condition(lambda: receiver.error_count() == 2)
    assert receiver.is_running()


def test_an_agent_may_close_in_on_stop(ns):
    class Careful(Agent):
        def on_init(self):
            self.bind("PUSH", alias="a")

        def on_stop(self):
            self.close("a")

    agent = run_agent("agent", base=Careful)
    agent.shutdown()
    assert agent_dies("agent", ns)
