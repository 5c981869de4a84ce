"""The agent's public attributes and methods through a proxy, and what editors and help() see of them."""

from __future__ import annotations

import inspect
import pydoc

import pytest

from agentlab import Proxy, run_agent
from tests.runtime_agents.actors import Actor


@pytest.fixture
def actor(ns):
    return run_agent("actor", base=Actor)


def test_get(actor):
    assert actor.colour == "blue"
    assert actor.number == 1
    assert actor.get_attr("number") == 1
    assert actor.name == "actor"


def test_set(actor):
    actor.number = 5
    assert actor.number == 5
    actor.fresh = {"a": [1]}
    assert Proxy("actor").fresh == {"a": [1]}
    actor.set_attr(one=1, two=2)
    assert (actor.one, actor.two) == (1, 2)


def test_attributes_that_the_agent_made_later(actor):
    actor.execute_as_method(lambda agent: setattr(agent, "made_there", 7))
    assert actor.made_there == 7
    assert "made_there" in dir(actor)


def test_unknown_attribute_names_the_nearest(actor):
    with pytest.raises(AttributeError, match="'colur'.*did you mean 'colour'"):
        _ = actor.colur
    with pytest.raises(AttributeError):
        actor.get_attr("colur")
    assert hasattr(actor, "colour") and not hasattr(actor, "nothing")
    assert getattr(actor, "nothing", 3) == 3


def test_unknown_method_names_the_nearest(actor):
    with pytest.raises(AttributeError, match="adt"):
        actor.adt(1)


def test_attributes_named_like_the_proxys_own(actor):
    """A proxy's own words come first; the agent's are still had by name."""
    actor.set_attr(timeout=4)
    assert actor.get_attr("timeout") == 4


@pytest.mark.parametrize(
    "name", ["timeout", "safe", "unsafe", "oneway", "future", "aio", "release", "nsaddr", "wait_for_running", "_core"]
)
def test_what_a_proxy_has_itself_cannot_be_set(actor, name):
    with pytest.raises(AttributeError, match=f"'{name}' .*the proxy's own.*set_attr\\({name}=.*get_attr\\('{name}'\\)"):
        setattr(actor, name, 5)
    if name != "_core":
        actor.set_attr(**{name: 5})
        assert actor.get_attr(name) == 5
    assert actor.safe.add(1) == 2


def test_private_and_special_attributes(actor):
    with pytest.raises(AttributeError):
        actor.__wrapped__  # noqa: B018
    assert not hasattr(actor, "__len__")
    assert not hasattr(actor, "_repr_html_")


def test_notebook_and_debuggers_may_ask_for_anything(actor):
    """IPython asks objects for _ipython_display_ and the like; a proxy must not answer with a made-up method."""
    assert getattr(actor, "_ipython_display_", None) is None
    assert getattr(actor, "_repr_html_", None) is None
    assert getattr(actor, "_ipython_canary_method_should_not_exist_", None) is None


def test_dir(actor):
    names = dir(actor)
    assert {"add", "colour", "number", "events", "bind", "unsafe", "wait_for_running"} <= set(names)
    assert not [n for n in names if n.startswith("_")]


def test_help(actor):
    text = pydoc.plain(pydoc.render_doc(actor.add))
    assert "Add two numbers" in text and "a, b=1" in text
    assert actor.add.__doc__ and "left out" in actor.add.__doc__
    assert actor.add.__name__ == "add"
    assert str(inspect.signature(actor.add)) == "(a, b=1)"


def test_methods_added_later(actor):
    old = Proxy("actor")
    assert actor.set_method(twice=lambda agent, x: 2 * x) == "twice"
    assert actor.twice(4) == 8
    assert old.twice(5) == 10
    assert "twice" in dir(old)

    def named(agent):
        return agent.name

    assert actor.set_method(named) == "named"
    assert old.named() == "actor"


def test_attribute_that_becomes_a_method_and_back(actor):
    actor.thing = 1
    assert actor.thing == 1
    actor.set_method(thing=lambda agent: "called")
    assert actor.thing() == "called"
    actor.thing = 2
    assert actor.thing == 2


def test_method_shadowed_by_a_value(actor):
    assert actor.add(1) == 2
    actor.add = 5
    assert actor.add == 5


def test_property_that_raises(actor):
    class Odd(Actor):
        @property
        def broken(self):
            raise ZeroDivisionError("in a property")

        @property
        def fine(self):
            return 3

    odd = run_agent("odd", base=Odd)
    assert odd.fine == 3
    with pytest.raises(ZeroDivisionError):
        _ = odd.broken
    assert "broken" in dir(odd)


def test_attribute_that_cannot_be_sent(actor):
    import threading

    actor.execute_as_method(lambda agent: setattr(agent, "lock", __import__("threading").Lock()))
    with pytest.raises(ValueError, match="lock"):
        _ = actor.lock
    with pytest.raises(ValueError, match="lock"):
        actor.set_attr(lock=threading.Lock())
