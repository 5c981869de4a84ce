"""Another lab file while the lab runs: what did not change is not touched, which its processes show."""

from __future__ import annotations

import time

import pytest

from agentlab import NSProxy, Proxy
from agentlab.errors import LabError
from agentlab.lab import Lab
from agentlab.testing.waiting import wait_condition
from agentlab.yamlfile.problems import ProblemsError
from tests.lab.running import Running, write
from tests.timing import soon

OLD = """
    services:
      first: {module: parts, classname: Counter}
      second: {module: parts, classname: Counter}
    agents:
      Meter: {class: "parts:Meter"}
      Scan: {class: "parts:Scan"}
      Gone: {class: "parts:Plain"}
      Same: {class: "parts:Plain", after: [Meter]}
    wires: [Meter.power -> Scan.on_power]
"""
NEW = """
    services:
      first: {module: parts, classname: Counter, parameters: {start: 7}}
      second: {module: parts, classname: Counter}
    agents:
      Meter: {class: "parts:Meter", restart: permanent, description: "of no matter to the process"}
      Scan: {class: "parts:Scan"}
      Plot: {class: "parts:Plot"}
      Same: {class: "parts:Plain", after: [Meter]}
    wires: [Meter.power -> Scan.on_power, Scan.rows -> Plot.rows]
"""


def test_only_what_changed_is_started_again(tmp_path):
    with Running(tmp_path, OLD) as lab:
        lab.supervisor.start()
        before = lab.pids()
        assert [lab.proxy("first").add(), lab.proxy("second").add()] == [1, 1]
        changes = lab.supervisor.reload(lab.read(NEW))
        assert {key: sorted(names) for key, names in changes.items()} == {
            "added": ["agent/Plot"],
            "removed": ["agent/Gone"],
            "changed": ["agent/Scan", "service/first"],  # Scan has one more wire
            "unchanged": ["agent/Meter", "agent/Same", "daemon/default", "nameserver/default", "service/second"],
        }
        after = lab.pids()
        assert {name for name in after if before.get(name) != after[name]} == {"Scan", "Plot"}  # first's daemon goes on
        assert "Gone" not in after
        assert lab.row("Meter")["restart"] == "permanent"
        assert [lab.proxy("first").add(), lab.proxy("second").add()] == [8, 2]
        assert wait_condition(lambda: len(lab.proxy("Plot").rows) > 2)  # the new wire carries


ALONE = """
    daemons: {one: {}, two: {}}
    services:
      stays: {module: parts, classname: Counter, daemon: one}
      idle: {module: parts, classname: Counter, daemon: one}
"""
MORE = (
    ALONE
    + """
      late: {module: parts, classname: Counter, daemon: one, parameters: {start: 3}, tags: [bench]}
      broken: {module: parts, classname: Broken, daemon: one}
"""
)
FEWER = """
    daemons: {one: {}, two: {}}
    services: {stays: {module: parts, classname: Counter, daemon: one}}
"""


def names(lab):
    with NSProxy(lab.supervisor.address()) as server:
        return set(server.list())


def test_services_come_and_go_in_a_daemon_that_goes_on(tmp_path):
    with Running(tmp_path, ALONE + "\n    autolaunch: {services: [stays]}") as lab:
        lab.supervisor.start()
        before = lab.pids()
        assert (lab.states()["idle"], lab.states()["two"]) == ("stopped", "running")
        stays = lab.proxy("stays")
        assert stays.add() == 1
        lab.supervisor.start_unit("idle")  # its daemon came up without it
        assert (stays.add(), lab.proxy("idle").add()) == (2, 1)
        with pytest.raises(LabError, match="service/broken did not start: .*no such device"):
            lab.supervisor.reload(lab.read(MORE))
        assert (stays.add(), lab.proxy("late").add(), lab.proxy("idle").add()) == (3, 4, 2)
        with NSProxy(lab.supervisor.address()) as server:
            assert set(server.list(tag="bench")) == {"late"}
        lab.supervisor.stop_unit("idle")
        changes = lab.supervisor.reload(lab.read(FEWER))
        assert sorted(changes["removed"]) == ["service/broken", "service/idle", "service/late"]
        assert wait_condition(lambda: names(lab) == {"stays"})  # what had failed, or was stopped, has gone too
        assert stays.add() == 4
        assert lab.pids() == {name: before[name] for name in ("one", "two", "stays")}
        daemon = Proxy(lab.row("daemon/one")["uri"])
        assert wait_condition(lambda: set(daemon.services()) == {"stays"})
        daemon.release()
        stays.release()


MOVED = """
    daemons: {%s}
    services: {moves: {module: parts, classname: Counter, daemon: %s}, stays: {module: parts, classname: Counter, daemon: %s}}
"""


def test_a_service_moves_to_another_daemon(tmp_path):
    with Running(tmp_path, MOVED % ("one: {}, two: {}", "one", "two")) as lab:
        lab.supervisor.start()
        before = lab.pids()
        moves, stays = lab.proxy("moves"), lab.proxy("stays")
        assert (moves.add(), stays.add()) == (1, 1)
        began = time.monotonic()
        changes = lab.supervisor.reload(lab.read(MOVED % ("one: {}, two: {}", "two", "two")))
        assert changes["changed"] == ["service/moves"]
        assert lab.pid("moves") == lab.pid("two") == before["two"]
        assert lab.pid("one") == before["one"]
        assert (moves.add(), stays.add()) == (1, 2)  # by its name, at once
        # Its daemon goes, and another one comes.
        lab.supervisor.reload(lab.read(MOVED % ("one: {}, three: {}", "three", "one")))
        assert time.monotonic() - began < soon(4.0)  # nobody waited for the end of what had ended with its daemon
        assert "two" not in lab.pids()
        assert (lab.pid("moves"), lab.pid("stays")) == (lab.pid("three"), before["one"])
        assert (moves.add(), stays.add()) == (1, 1)
        assert "killed" not in lab.told("moves") + lab.told("two")
        moves.release()
        stays.release()


OPEN = """
    settings: {SECURITY: none}
    services: {first: {module: parts, classname: Counter}}
"""


def test_where_a_daemon_takes_in_no_code_it_is_started_again(tmp_path):
    with Running(tmp_path, OPEN) as lab:
        lab.supervisor.start()
        pid = lab.pid("daemon/default")
        lab.supervisor.reload(lab.read(OPEN.replace("Counter}", "Counter, parameters: {start: 7}}")))
        assert lab.pid("daemon/default") != pid
        with Proxy(lab.row("first")["uri"]) as first:
            assert first.add() == 8


def test_a_bad_file_changes_nothing(tmp_path):
    path = write(tmp_path, 'agents: {A: {class: "parts:Plain"}}')
    with Lab.from_file(path) as lab:
        before = lab.status()
        path.write_text(path.read_text() + "nonsense: 1\n")
        with pytest.raises(ProblemsError, match="nonsense"):
            lab.reload()
        assert [row["pid"] for row in lab.status()] == [row["pid"] for row in before]
        path.write_text(path.read_text().replace("nonsense: 1", "").replace("parts:Plain", "parts:Bad"))
        with pytest.raises(LabError, match="agent/A did not start: .*COM3"):
            lab.reload()
        path.write_text(path.read_text().replace("parts:Bad", "parts:Plain"))
        assert lab.reload()["changed"] == ["agent/A"]
        assert lab["A"].ping() == "pong"
