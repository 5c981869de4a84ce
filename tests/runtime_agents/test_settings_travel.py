"""Settings reach agents, however they are started; the two securities."""

from __future__ import annotations

import os
import threading

import pytest

from agentlab import Agent, RefusedError, RemoteError, SerializationError, config, run_agent, run_nameserver
from tests.runtime_agents.actors import Actor
from tests.runtime_agents.helpers import run_script, wait_until


class Teller(Agent):
    def settings(self):
        return {key: config[key] for key in ("SERIALIZER", "TRANSPORT", "LINGER", "HWM", "SAFE")}

    def address(self):
        return self.bind("PUSH")


def test_config_reaches_agents_started_afterwards(ns, start_method):
    before = run_agent("before", base=Teller, start_method=start_method)
    config["SERIALIZER"] = "json"
    config["TRANSPORT"] = "tcp"
    config["LINGER"] = 0.25
    config["HWM"] = 7
    after = run_agent("after", base=Teller, start_method=start_method)
    assert after.settings() == {"SERIALIZER": "json", "TRANSPORT": "tcp", "LINGER": 0.25, "HWM": 7, "SAFE": True}
    assert (after.address().serializer, after.address().transport) == ("json", "tcp")
    assert before.settings()["SERIALIZER"] == "pickle"


def test_environment_reaches_agents(ns, start_method, monkeypatch):
    monkeypatch.setenv("AGENTLAB_DEFAULT_SERIALIZER", "msgpack")
    monkeypatch.setenv("SOMETHING_ELSE", "too")
    agent = run_agent("agent", base=Teller, start_method=start_method)
    assert agent.settings()["SERIALIZER"] == "msgpack"
    assert agent.execute_as_function(os.environ.get, "SOMETHING_ELSE") == "too"
    config["SERIALIZER"] = "raw"
    assert run_agent("other", base=Teller, start_method=start_method).settings()["SERIALIZER"] == "raw"


def test_options_of_run_agent_come_before_config(ns):
    config["SERIALIZER"], config["TRANSPORT"] = "json", "tcp"
    agent = run_agent("agent", base=Teller, serializer="msgpack", transport="ipc")
    address = agent.address()
    assert (address.serializer, address.transport) == ("msgpack", "ipc")
    assert agent.bind("PUSH", serializer="raw").serializer == "raw"


def test_name_server_address_reaches_agents(ns):
    agent = run_agent("agent")
    assert agent.execute_as_function(os.environ.get, "AGENTLAB_NAMESERVER_ADDRESS") == str(ns.addr())
    assert agent.get_attr("nsaddr") == ns.addr()


class Plain(Actor):
    def plain(self, value):
        return value


@pytest.fixture(params=["config", "environment"])
def open_lab(request, monkeypatch):
    if request.param == "config":
        config["SECURITY"] = "none"
    else:
        monkeypatch.setenv("AGENTLAB_SECURITY", "none")
    server = run_nameserver()
    yield server
    server.shutdown()


def test_security_none_carries_plain_data(open_lab, start_method):
    agent = run_agent("open", base=Plain, start_method=start_method)
    value = {"a": [1, 2.5, None, True], "text": "µ", "bytes": b"\x00\xff", 5: "int key"}
    assert agent.plain(value) == value
    assert agent.add(1, b=2) == 3
    assert agent.colour == "blue"
    agent.number = 7
    assert agent.number == 7
    assert agent.unsafe.add(1) == 2
    assert open_lab.agents() == ["open"]
    assert "add" in dir(agent)


def test_security_none_refuses_functions_with_a_clear_error(open_lab):
    agent = run_agent("open", base=Plain)
    for call in (
        lambda: agent.execute_as_function(lambda: 1),
        lambda: agent.set_method(lambda agent: 1),
        lambda: agent.plain(object()),
        lambda: agent.plain(agent),
    ):
        with pytest.raises(RefusedError, match="SECURITY is 'none'"):
            call()
    with pytest.raises((RefusedError, SerializationError), match="unserializable"):
        agent.unserializable()
    assert agent.add(1) == 2
    assert agent.error_count() == 0


def test_security_none_carries_errors(open_lab):
    agent = run_agent("open", base=Plain)
    with pytest.raises(ZeroDivisionError) as caught:
        agent.after_fail()
    assert "actors.py" in caught.value.remote_traceback or "settings_travel" in caught.value.remote_traceback
    with pytest.raises(AttributeError):
        agent.nothing()
    with pytest.raises(RemoteError, match="UserError"):
        agent.user_error()


class UserError(Exception):
    def __init__(self, a, b):
        super().__init__("needs two")


def _fail(self):
    return 1 / 0


def _user_error(self):
    raise UserError(1, 2)


Plain.after_fail, Plain.user_error = _fail, _user_error


def test_security_none_refuses_pickling_sockets(open_lab):
    agent = run_agent("open", base=Plain)
    for serializer in ("pickle", "dill", "cloudpickle", None):
        with pytest.raises(RefusedError, match="none"):
            agent.bind("PUSH", serializer=serializer, transport="tcp")
    assert agent.sockets() == {}


def test_security_none_sockets_work(open_lab):
    a, b = run_agent("a", base=Binder, serializer="json"), run_agent("b", base=Binder, serializer="msgpack")
    a.open()
    b.dial("a")
    b.say("hello")
    wait_until(lambda: a.got == ["hello"])


class Binder(Agent):
    def on_init(self):
        self.got = []

    def open(self):
        self.bind("PULL", alias="in", handler="take", transport="tcp")

    def dial(self, name):
        self.connect((name, "in"), alias="out")

    def say(self, text):
        self.send("out", text)

    def take(self, message):
        self.got.append(message)


def test_keys_and_none_do_not_mix(ns, tmp_path):
    """Whoever has not proved the key gets nothing, and is told why."""
    run_agent("closed", base=Plain)
    script = run_script(
        tmp_path,
        """
        from agentlab import *
        config["SECURITY"] = "none"
        try:
            Proxy("closed", timeout=1.0).add(1)
        except Exception as error:
            print(type(error).__name__, error)
        """,
    )
    assert script.out.startswith(("RefusedError", "NameServerUnavailableError")), script.out + script.err


def test_only_the_key_of_the_same_user_is_accepted(ns, tmp_path):
    run_agent("closed", base=Plain)
    script = run_script(
        tmp_path,
        """
        from agentlab import *
        try:
            Proxy("closed", timeout=1.0).add(1)
        except Exception as error:
            print(type(error).__name__, error)
        """,
        AGENTLAB_KEYS_DIR=str(tmp_path / "other-keys"),
    )
    assert script.out.startswith("RefusedError"), script.out + script.err


def test_threads_and_locks_do_not_travel(ns):
    agent = run_agent("agent", base=Plain)
    with pytest.raises(SerializationError):
        agent.plain(threading.current_thread())
