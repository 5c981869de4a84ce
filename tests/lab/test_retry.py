"""What did not start with a lab that goes on without it is tried again."""

import threading

from agentlab.errors import LabError
from agentlab.lab.retry import Retries, never_up
from agentlab.testing import wait_condition


def row(unit, state="failed", cause=""):
    return {"unit": unit, "state": state, "cause": cause}


class Units:
    """Units that come up at their n-th start."""

    def __init__(self, **needs):
        self.left = {f"agent/{name}": count for name, count in needs.items()}
        self.tried = []

    def rows(self):
        return [row(unit, "failed" if left else "running") for unit, left in self.left.items()]

    def start(self, unit):
        self.tried.append(unit)
        self.left[unit] -= 1
        if self.left[unit]:
            raise LabError(f"{unit} did not start: not yet\nTraceback")


def test_only_what_was_never_up_is_tried_again():
    rows = [row("agent/a"), row("agent/b", "running"), row("agent/c", cause="exit code 3"), row("agent/d", "stopped")]
    assert never_up(rows) == ["agent/a"]


def test_units_are_tried_until_they_are_up():
    units = Units(a=1, b=3, c=0)
    retries = Retries(units.rows, units.start, first=0.001, most=0.002)
    assert retries.begin() == ["agent/a", "agent/b"]
    retries._thread.join(5)
    assert not retries._thread.is_alive() and units.tried == ["agent/a", "agent/b", "agent/b", "agent/b"]
    retries.close()


def test_nothing_is_tried_after_the_end():
    units = Units(a=100)
    began, go_on = threading.Event(), threading.Event()

    def start(unit):
        began.set()
        go_on.wait(5)
        units.start(unit)

    retries = Retries(units.rows, start, first=0.001, most=0.001)
    retries.begin()
    assert began.wait(5)
    retries.stop()
    go_on.set()
    retries.close()
    retries.close()
    assert units.tried == ["agent/a"] and not retries._thread.is_alive()


def test_a_lab_of_which_all_runs_has_nothing_to_try():
    retries = Retries(Units(a=0).rows, None)
    assert retries.begin() == []
    retries.close()


def test_a_node_tries_again(tmp_path, monkeypatch):
    from agentlab.lab import node
    from agentlab.lab.retry import Retries
    from tests.lab.fakelab import running

    file = tmp_path / "lab.yml"
    file.write_text("A Late")
    monkeypatch.setattr(node, "Retries", lambda rows, start: Retries(rows, start, first=0.01))

    def prepare(supervisor):
        whole = supervisor.start

        def start(**options):
            whole(**options)
            supervisor.rows["agent/Late"] = "failed"

        supervisor.start = start

    with running(file, prepare=prepare) as lab:
        assert lab.ready.wait(10)
        assert wait_condition(lambda: ("start_unit", "agent/Late") in lab.supervisor.done)
        assert wait_condition(lambda: lab.supervisor.rows["agent/Late"] == "running")
