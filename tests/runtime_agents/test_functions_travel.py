"""Functions, lambdas, closures and local classes travel, also those that the agent's process cannot import."""

from __future__ import annotations

import functools
import math
import sys

import pytest

from agentlab import Agent, run_agent
from tests.runtime_agents.actors import Actor
from tests.runtime_agents.helpers import run_script


@pytest.fixture
def actor(ns):
    return run_agent("actor", base=Actor)


def module_level(agent, x):
    return (agent.name, x)


def test_kinds_of_functions(actor):
    offset = 10

    def closure(x):
        return x + offset

    def recursive(n):
        return 1 if n < 2 else n * recursive(n - 1)

    assert actor.execute_as_function(closure, 1) == 11
    assert actor.execute_as_function(lambda x: x * offset, 2) == 20
    assert actor.execute_as_function(recursive, 5) == 120
    assert actor.execute_as_function(math.sqrt, 9) == 3.0
    assert actor.execute_as_function(len, [1, 2]) == 2
    assert actor.execute_as_function(functools.partial(closure, 5)) == 15
    assert actor.execute_as_method(module_level, 3) == ("actor", 3)
    assert actor.execute_as_method(lambda agent, *, k: (agent.number, k), k=2) == (1, 2)


def test_local_classes_as_arguments_and_results(actor):
    class Point:
        def __init__(self, x):
            self.x = x

        def doubled(self):
            return Point(self.x * 2)

    assert actor.execute_as_function(lambda p: p.doubled(), Point(4)).x == 8
    assert actor.execute_as_function(Point, 3).x == 3


def test_local_class_as_base(ns):
    factor = 7

    class Parent(Agent):
        def times(self, x):
            return factor * x

    class Child(Parent):
        def times(self, x):
            return super().times(x) + 1

    assert run_agent("child", base=Child).times(2) == 15


def test_set_method_with_state(actor):
    calls = []

    def counting(agent):
        calls.append(1)
        return len(calls)

    actor.set_method(counting)
    assert [actor.counting() for _ in range(3)] == [1, 2, 3]
    assert calls == [], "it is a copy that counts there"


def test_set_method_of_what_is_none(actor):
    with pytest.raises(TypeError, match="method"):
        actor.set_method(5)
    with pytest.raises(TypeError, match="set_method\\(name=function\\)"):
        actor.set_method(lambda agent: 1)


def test_functions_of_a_module_that_the_agent_cannot_import(actor, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text(
        "FACTOR = 3\n"
        "class Thing:\n"
        "    def __init__(self, x): self.x = x\n"
        "    def value(self): return self.x * FACTOR\n"
        "def make(x): return Thing(x)\n"
        "def with_agent(agent, x): return agent.name, make(x).value()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here

    try:
        assert actor.execute_as_method(only_here.with_agent, 5) == ("actor", 15)
        assert actor.execute_as_function(only_here.make, 2).value() == 6
        assert actor.execute_as_function(lambda t: t.value(), only_here.Thing(3)) == 9
        actor.thing = only_here.Thing(4)
        assert actor.thing.value() == 12
        assert actor.set_method(only_here.with_agent) == "with_agent"
        assert actor.with_agent(6) == ("actor", 18)
    finally:
        del sys.modules["only_here"]


def test_base_from_a_module_that_the_agent_cannot_import(ns, tmp_path, start_method):
    """The starter's sys.path travels, so whatever it can import its agents can."""
    (tmp_path / "plugin_agents.py").write_text(
        "from agentlab import Agent\nclass Plugin(Agent):\n    def hello(self): return 'hi'\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        import plugin_agents

        assert run_agent("plugin", base=plugin_agents.Plugin, start_method=start_method).hello() == "hi"
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["plugin_agents"]


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_program_without_main_guard(tmp_path, method):
    """Nothing imports the program again, so it needs no `if __name__ == "__main__"`."""
    script = run_script(
        tmp_path,
        """
        import dataclasses
        from agentlab import Agent, config, run_agent, run_nameserver

        FACTOR = 5

        @dataclasses.dataclass
        class Reading:
            value: float

        def scaled(reading):
            return Reading(reading.value * FACTOR)

        class Meter(Agent):
            def read(self):
                return scaled(Reading(2.0))
            def take(self, reading):
                return isinstance(reading, Reading), reading.value

        print("once")
        ns = run_nameserver()
        meter = run_agent("meter", base=Meter)
        print(meter.read())
        print(isinstance(meter.read(), Reading), meter.take(Reading(3.0)))
        print(meter.execute_as_function(scaled, Reading(1.0)))
        meter.set_method(double=lambda agent, x: 2 * x)
        print(meter.double(4))
        ns.shutdown()
        """,
        AGENTLAB_START_METHOD=method,
    )
    assert script.code == 0, script.err
    assert script.out.splitlines() == ["once", "Reading(value=10.0)", "True (True, 3.0)", "Reading(value=5.0)", "8"]
    assert script.err == ""
