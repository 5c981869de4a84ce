"""Errors of another process: their own type, message, arguments and traceback; nothing on the caller's stdout."""

from __future__ import annotations

import traceback

import pytest

from agentlab import RemoteError, SerializationError, run_agent
from tests.runtime_agents.actors import Actor
from tests.runtime_agents.helpers import run_script


class OwnError(ValueError):
    """One of a program."""

    def __init__(self, code, *, hint):
        super().__init__(code, hint)
        self.code, self.hint = code, hint

    def __reduce__(self):
        return _own_error, (self.code, self.hint)


def _own_error(code, hint):
    return OwnError(code, hint=hint)


class UnpicklableError(Exception):
    def __init__(self, text, *, needed):
        super().__init__(text)
        self.needed = needed


@pytest.fixture
def actor(ns):
    return run_agent("actor", base=Actor)


@pytest.mark.parametrize("safe", [True, False])
def test_type_message_arguments_and_traceback(actor, safe):
    view = actor.safe if safe else actor.unsafe
    with pytest.raises(OSError, match="two") as caught:
        view.fail(FileNotFoundError, 2, "two")
    error = caught.value
    assert type(error) is FileNotFoundError
    assert error.args == (2, "two") and error.errno == 2
    assert "actors.py" in error.remote_traceback and "in fail" in error.remote_traceback
    assert "actors.py" in "".join(traceback.format_exception(error)), "whoever prints it sees where it was raised"


def test_cause_is_in_the_remote_traceback(actor):
    def chained(agent):
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError("outer") from error

    with pytest.raises(ValueError, match="outer") as caught:
        actor.execute_as_method(chained)
    assert "KeyError: 'missing'" in caught.value.remote_traceback


def test_own_exception(actor):
    with pytest.raises(OwnError) as caught:
        actor.execute_as_function(_raise_own)
    assert (caught.value.code, caught.value.hint) == (7, "try again")


def _raise_own():
    raise OwnError(7, hint="try again")


def test_exception_that_cannot_be_rebuilt(actor):
    def fail(agent):
        raise UnpicklableError("only here", needed=1)

    with pytest.raises(RemoteError, match="UnpicklableError.*only here") as caught:
        actor.execute_as_method(fail)
    assert caught.value.type_name.endswith("UnpicklableError")
    assert "only here" in caught.value.remote_traceback


def test_exception_that_holds_what_cannot_be_pickled(actor):
    def fail(agent):
        import threading

        raise ValueError("holds", threading.Lock())

    with pytest.raises(RemoteError, match="ValueError.*holds"):
        actor.execute_as_method(fail)


def test_local_exception_class(actor):
    def fail(agent):
        class LocalError(LookupError):
            pass

        raise LocalError("local")

    with pytest.raises((LookupError, RemoteError), match="local"):
        actor.execute_as_method(fail)


def test_exception_with_a_broken_text(actor):
    def fail(agent):
        class BadError(Exception):
            def __str__(self):
                raise RuntimeError("no text")

        raise BadError

    with pytest.raises(RemoteError, match="BadError"):
        actor.execute_as_method(fail)


@pytest.mark.parametrize("safe", [True, False])
def test_sys_exit_in_a_call(actor, safe):
    view = actor.safe if safe else actor.unsafe
    with pytest.raises(RemoteError, match="SystemExit.*3"):
        view.leave()
    assert actor.ping() == "pong"
    assert actor.add(1) == 2


def test_keyboard_interrupt_in_a_call(actor):
    with pytest.raises(RemoteError, match="KeyboardInterrupt"):
        actor.fail(KeyboardInterrupt)
    assert actor.add(1) == 2


def test_stop_iteration_and_generator_exit(actor):
    with pytest.raises(StopIteration):
        actor.fail(StopIteration, 5)
    with pytest.raises(RemoteError, match="GeneratorExit"):
        actor.fail(GeneratorExit)
    assert actor.add(1) == 2


@pytest.mark.parametrize("safe", [True, False])
def test_result_that_cannot_be_sent(actor, safe):
    view = actor.safe if safe else actor.unsafe
    with pytest.raises(SerializationError, match="lock.*unserializable|unserializable.*lock"):
        view.unserializable()
    assert actor.add(1) == 2


def test_generator_as_result(actor):
    with pytest.raises(ValueError, match="generator"):
        actor.execute_as_function(lambda: (i for i in range(3)))


def test_argument_that_cannot_be_sent(actor):
    import threading

    with pytest.raises(SerializationError, match="lock"):
        actor.add(threading.Lock())
    assert actor.add(1) == 2


def test_wrong_arguments(actor):
    with pytest.raises(TypeError, match="add\\(\\)"):
        actor.add()
    with pytest.raises(TypeError, match="unexpected keyword"):
        actor.add(1, c=2)


def test_nothing_is_printed_to_stdout(capfd, ns):
    actor = run_agent("actor", base=Actor)
    for kind in (ValueError, KeyError, SystemExit):
        with pytest.raises((ValueError, KeyError, RemoteError), match="x"):
            actor.fail(kind, "x")
    with pytest.raises(SerializationError):
        actor.unserializable()
    actor.ping()
    assert capfd.readouterr().out == ""


def test_raise_exception(actor):
    with pytest.raises(RuntimeError):
        actor.raise_exception()
    assert actor.is_running()
    assert actor.error_count() == 1


def test_error_of_a_program(tmp_path):
    script = run_script(
        tmp_path,
        """
        from agentlab import Agent, run_agent, run_nameserver

        class MyError(Exception):
            def __init__(self, value):
                super().__init__(value)
                self.value = value

        class OddError(Exception):
            def __init__(self, a, b):
                super().__init__("odd")

        class Worker(Agent):
            def fail(self):
                raise MyError(42)
            def odd(self):
                raise OddError(1, 2)

        if __name__ == "__main__":
            ns = run_nameserver()
            worker = run_agent("worker", base=Worker)
            try:
                worker.fail()
            except MyError as error:
                print("own", error.value, "program.py" in error.remote_traceback)
            try:
                worker.odd()
            except Exception as error:
                print(type(error).__name__, error.type_name)
            ns.shutdown()
        """,
    )
    assert script.code == 0, script.err
    assert script.out.splitlines() == ["own 42 True", "RemoteError __main__.OddError"]
