"""describe, get, set, watch, top, graph, completion, and calls with named arguments: with live agents and a service."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from agentlab import Agent, run_agent, run_nameserver
from agentlab.cli.completion import complete_attribute, complete_name, complete_publisher
from agentlab.cli.peers import _cure
from agentlab.cli.tables import bytes_text, rate_text, since_text
from agentlab.runtime.child import start_child
from agentlab.runtime.daemonmain import TARGET, dump_daemon
from agentlab.services.model import DaemonSpec, ServiceSpec
from tests.cli.inprocess import Runner
from tests.cli.program import COMMAND, complaint, finish, start


class Axis(Agent):
    """Moves along one axis.

    Slowly.
    """

    binds = {"position": "PUB", "jobs": {"kind": "PULL", "handler": "take"}}
    speed = 2.5

    def on_init(self):
        self.where = 1.5
        self._secret = "hidden"
        self.each(0.02, "publish")

    @property
    def temperature(self):
        """Of the motor, in degrees."""
        raise AssertionError("describing must not ask the device")

    @property
    def humidity(self):
        return 0.5

    def publish(self):
        self.send("position", {"x": self.where}, topic="x")
        self.send("position", 3, topic="y")

    def take(self, job):
        """Do a job."""

    def move(self, distance: float, *, fast: bool = False) -> float:
        """Move by a distance, in mm.

        At once.
        """
        self.where += distance * (2 if fast else 1)
        return self.where


class Watcher(Agent):
    def on_init(self):
        self.connect(("Axis", "position"), "seen", {"x": "take"})
        self.connect(("Axis", "jobs"), "out")

    def take(self, message):
        pass


class Shelf:
    """A shelf of books."""

    rows = 3

    def __init__(self, owner="nobody"):
        self.owner = owner

    def find(self, title, *, limit=5):
        """Find a book."""
        return [title] * limit

    def lose(self):
        raise KeyError("no such book")

    def count(self, rows: list[int], seconds: float = 1.0) -> int:
        time.sleep(seconds)
        return len(rows)

    @property
    def length(self):
        """In metres."""
        return 2.0


class Burnt(Shelf):
    def __init__(self):
        raise OSError("it is ashes")


@pytest.fixture(scope="module")
def lab():
    server = run_nameserver()
    address = str(server.addr())
    run_agent("Axis", base=Axis)
    run_agent("Watcher", base=Watcher)
    shelf = ServiceSpec("shelf", Shelf, description="Of the library.", tags=["books", "paper"])
    services = [shelf, ServiceSpec("burnt", Burnt)]
    spec = DaemonSpec(name="default", nameservers=[address], services=services)
    daemon = start_child(TARGET, dump_daemon(spec), name="default")
    yield SimpleNamespace(address=address)
    daemon.terminate()
    server.shutdown()
    daemon.join(5)


@pytest.fixture
def run(lab, capsys, monkeypatch):
    monkeypatch.setenv("AGENTLAB_NAMESERVER_ADDRESS", lab.address)
    monkeypatch.setenv("COLUMNS", "80")
    return Runner(capsys)


def widest(text):
    return max(map(len, text.splitlines()))


# --- describe -----------------------------------------------------------------------------------------------------


def test_describe_shows_what_an_agent_is_and_runs_nothing_of_it(run):
    shown = run("describe", "Axis")
    assert shown.code == 0 and widest(shown.out) <= 80
    for text in (
        "agent of class",
        "Moves along one axis.",
        "move(distance: float, *, fast: bool = False) -> float",
        "Move by a distance, in mm.",
        "temperature  (property) Of the motor, in degrees.",
        "speed        2.5 (float)",
        "position  PUB ipc://",
    ):
        assert text in shown.out
    for text in ("At once", "_secret", "send_recv"):
        assert text not in shown.out
    told = json.loads(run("describe", "Axis", "--json", "--all").out)
    assert {"send_recv", "move"} <= {method["name"] for method in told["methods"]}
    assert {socket["alias"]: socket["kind"] for socket in told["sockets"]} == {"position": "PUB", "jobs": "PULL"}
    assert "to Axis.position at" in run("describe", "Watcher").out


def test_describe_one_method_or_attribute(run):
    assert "Axis.move(distance: float" in run("describe", "Axis.move").out
    assert "At once." in run("describe", "Axis.move").out
    assert run("describe", "Axis.speed").out == "Axis.speed: float = 2.5\n"
    assert "Of the motor" in run("describe", "Axis.temperature").out
    assert "did you mean 'move'" in complaint(run("describe", "Axis.mvoe"), 2)
    assert "is private" in complaint(run("describe", "Axis._secret"), 2)
    assert "'Axsi'" in complaint(run("describe", "Axsi.move"), 2)
    assert "'Axsi'" in complaint(run("describe", "Axsi"), 2)


def test_describe_a_service(run):
    shown = run("describe", "shelf")
    assert shown.code == 0 and widest(shown.out) <= 80
    for text in (
        "shelf: service of class tests.cli.test_observe.Shelf",
        "description: Of the library.",
        "tags: books, paper",
        "instancemode: single",
        "A shelf of books.",
        "find(title, *, limit=5)  Find a book.",
        "count(rows: list[int], seconds: float = 1.0) -> int",
        "length  (property) In metres.",
    ):
        assert text in shown.out
    assert "get_attr" not in shown.out and "set_attr(**values)" in run("describe", "shelf", "--all").out
    assert [method["name"] for method in json.loads(run("describe", "shelf", "--json").out)["methods"]] == [
        "count",
        "find",
        "lose",
    ]
    assert run("describe", "shelf.find").out.startswith("shelf.find(title, *, limit=5)\n")
    assert run("describe", "shelf.length").out == "shelf.length: property\n\n  In metres.\n"
    assert "did you mean 'find'" in complaint(run("describe", "shelf.fnid"), 2)


# --- services that have failed, agents that go away ---------------------------------------------------------------


@pytest.mark.parametrize(
    "args", [["call", "burnt", "find"], ["call", "burnt", "find", "1"], ["get", "burnt.rows"], ["set", "burnt.owner", "me"]]
)
def test_a_service_that_has_failed_tells_why(run, args):
    assert "service 'burnt' has failed: OSError: it is ashes; mend it" in complaint(run(*args), 1)


def test_describe_a_service_that_has_failed(run):
    assert "state: failed: OSError: it is ashes" in run("describe", "burnt").out


def test_who_does_not_answer_is_called_what_it_is(run, monkeypatch, tmp_path):
    assert "service 'shelf' did not answer count() within 0.05 s" in complaint(
        run("call", "shelf", "count", "[1]", "0.5", "--timeout", "0.05"), 1
    )
    run_agent("Shortlived", base=Axis)
    gone = complaint(run("call", "Shortlived", "kill"), 1)
    assert "agent 'Shortlived' went away during a call of kill()" in gone and "PYRO" not in gone
    assert gone.endswith("the call may have run: see agentlab ls")


def test_what_to_look_at_where_somebody_has_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTLAB_NAMESERVER_ADDRESS", raising=False)
    assert _cure("Laser", None, None) == "agentlab ls"
    (tmp_path / "lab.yml").touch()
    assert _cure("Laser", None, None) == "agentlab status Laser"
    assert _cure("Laser", None, Path("x.yml")) == "agentlab status Laser --file x.yml"
    assert _cure("Laser", "127.0.0.1:1", None) == "agentlab ls"


# --- get, set, call -----------------------------------------------------------------------------------------------


def test_get_and_set(run):
    assert run("set", "Axis.where", "4").out == "Axis.where = 4\n"
    assert run("get", "Axis.where").out == "4\n"
    assert json.loads(run("set", "Axis.where", "[1, 2]", "--json").out) == {"name": "Axis", "attribute": "where", "value": [1, 2]}
    assert json.loads(run("get", "Axis.where", "--json").out) == [1, 2]
    assert run("set", "Axis.where", "red").out == "Axis.where = red\n"
    assert run("set", "Axis.where", "--", "-2.5").code == 0
    assert run("get", "Axis.where").out == "-2.5\n"
    assert run("get", "Axis.humidity").out == "0.5\n"
    assert run("set", "Axis.fresh", "1", "--new").code == 0
    assert run("get", "Axis.fresh").out == "1\n"


def test_get_and_set_of_a_service(run):
    assert run("get", "shelf.owner").out == "nobody\n"
    assert run("set", "shelf.owner", "me").code == 0
    assert run("get", "shelf.owner").out == "me\n"


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["get", "Axis.wehre"], 2, "did you mean 'where'"),
        (["get", "Axis.move"], 2, "is a method; call it: agentlab call Axis move"),
        (["get", "Axis._secret"], 2, "is private"),
        (["get", "Axis"], 2, "write NAME.attribute"),
        (["get", "Nobody.x"], 2, "'Nobody'"),
        (["get", "Axis.temperature"], 1, "reading Axis.temperature raised AssertionError"),
        (["set", "Axis.wehre", "1"], 2, "--new makes one"),
        (["set", "Axis.move", "1"], 2, "is a method"),
        (["set", "Axis._secret", "1"], 2, "is private"),
        (["set", "Axis.humidity", "1"], 1, "setting Axis.humidity raised AttributeError"),
        (["call", "Axis", "move", "x=1"], 1, "unexpected keyword argument 'x'"),
        (["call", "Axis", "move", "distance=1", "distance=2"], 2, "'distance' is given twice"),
        (["call", "shelf", "lose"], 1, "shelf.lose() raised KeyError"),
        (["call", "shelf", "lsoe", "1"], 2, "did you mean 'lose'"),
        (
            ["call", "Axis", "mvoe"],
            2,
            "did you mean 'move'? known names: 'fresh', 'humidity', 'move', 'publish', 'speed', 'take',",
        ),
        (["call", "shelf", "lsoe"], 2, "known names: 'count', 'find', 'length', 'lose', 'owner', 'rows', 'get_attr'"),
    ],
)
def test_what_cannot_be(run, args, code, says):
    assert says in complaint(run(*args), code)


def test_call_by_name_and_of_a_service(run):
    run("set", "Axis.where", "0")
    assert run("call", "Axis", "move", "distance=1.5", "fast=true").out == "3.0\n"
    assert run("call", "Axis", "move", "1", "fast=false").out == "4.0\n"
    assert json.loads(run("call", "shelf", "find", '"a=b"', "limit=2", "--json").out) == ["a=b", "a=b"]
    assert run("call", "shelf", "rows").out == "3\n"
    assert run("ping", "shelf").out.startswith("shelf answers after ")


# --- watch --------------------------------------------------------------------------------------------------------


def test_watch(run):
    shown = run("watch", "Axis.position", "-n", "4").out.splitlines()
    assert len(shown) == 4
    assert {line.split(" ", 1)[1].partition(":")[0] for line in shown} == {"x", "y"}
    lines = [
        json.loads(line) for line in run("watch", "Axis.position", "--topic", "y", "--count", "3", "--json").out.splitlines()
    ]
    assert [(line["topic"], line["message"]) for line in lines] == [("y", 3)] * 3
    both = run("watch", "Axis.position", "--topic", "y", "--topic", "", "-n", "6", "--json").out.splitlines()
    assert len(set(both)) == 6  # each publication once


@pytest.mark.parametrize(
    ("socket", "says"),
    [
        ("Axis.jobs", "is a PULL socket; only PUB and SYNC_PUB can be watched; known names: 'position'"),
        ("Axis.psition", "did you mean 'position'"),
        ("Watcher.seen", "'Watcher' publishes nothing"),
        ("shelf.x", "'shelf' publishes nothing"),
        ("Axis", "write NAME.alias"),
    ],
)
def test_what_cannot_be_watched(run, socket, says):
    assert says in complaint(run("watch", socket), 2)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_is_the_usual_end_of_watch_and_top(lab):
    both = [
        start("watch", "Axis.position", "--nsaddr", lab.address),
        start("top", "--json", "-i", "0.2", "--nsaddr", lab.address),
    ]
    for process in both:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        ended = finish(process, 10)
        assert (ended.code, ended.err) == (0, "")


def test_a_reader_of_watch_that_leaves_gets_no_traceback(lab):
    process = start("watch", "Axis.position", "--nsaddr", lab.address)
    process.stdout.readline()
    process.stdout.close()
    try:
        assert process.wait(10) == 1
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.stderr.close()
        process.wait()


# --- top ----------------------------------------------------------------------------------------------------------


def test_top(run):
    table = run("top", "--once").out
    assert table.splitlines()[0].split() == ["name", "state", "rate", "queue", "CPU", "%", "memory", "errors"]
    assert {line.split()[0] for line in table.splitlines()[1:]} >= {"Axis", "Watcher", "shelf"}
    assert widest(table) <= 80
    looks = [json.loads(line) for line in run("top", "-n", "2", "-i", "0.2", "--json").out.splitlines()]
    assert looks[1]["time"] - looks[0]["time"] > 0.15
    rows = {row["name"]: row for row in looks[1]["rows"]}
    assert rows["Watcher"]["rate"] > 5 and rows["Watcher"]["state"] == "running"
    assert 0 <= rows["Axis"]["cpu_percent"] <= 100 and rows["Axis"]["rss"] > 1e6


# --- graph --------------------------------------------------------------------------------------------------------


def test_graph_of_live_agents(run, tmp_path):
    text = run("graph").out
    assert "└─ position  PUB/SUB 'x'  → Watcher.seen" in text and "→ Axis.jobs" in text
    assert "shelf" in text.splitlines()[-1] and "not wired" in text
    told = json.loads(run("graph", "Axis", "--json").out)
    assert {node["name"] for node in told["nodes"]} == {"Axis", "Watcher"}
    assert {(edge["source"], edge["target"], edge["kind"]) for edge in told["edges"]} == {
        ("Axis", "Watcher", "PUB"),
        ("Watcher", "Axis", "PUSH"),
    }
    assert run("graph", "--svg", tmp_path / "wires.svg").code == 0
    assert ET.parse(tmp_path / "wires.svg").getroot().tag.endswith("svg")
    assert "did you mean 'Axis'" in complaint(run("graph", "Axsi"), 2)


def test_graph_of_a_lab_file_runs_nothing(run, tmp_path, monkeypatch):
    monkeypatch.delenv("AGENTLAB_NAMESERVER_ADDRESS")
    (tmp_path / "mylab.py").write_text(
        "from agentlab import Agent\n"
        "class Meter(Agent):\n    binds = {'power': 'PUB'}\n"
        "class Scan(Agent):\n    def on_power(self, message):\n        pass\n"
    )
    (tmp_path / "lab.yml").write_text(
        "version: 1\nagents:\n  Meter: {class: 'mylab:Meter'}\n  Scan: {class: 'mylab:Scan'}\n"
        "wires:\n  - Meter.power -> Scan.on_power\n"
    )
    assert "└─ power  PUB/SUB  → Scan.on_power" in run("graph", "--lab", tmp_path / "lab.yml").out
    assert run("graph", "--lab", tmp_path / "nothing.yml").code == 2
    (tmp_path / "mylab.py").write_text("raise ImportError('a driver of another machine')")
    assert run("graph", "--lab", tmp_path / "lab.yml").code == 2
    (tmp_path / "lab.yml").write_text((tmp_path / "lab.yml").read_text().replace("wires:", "x-wires:"))
    assert "not wired: Meter, Scan" in run("graph", "--lab", tmp_path / "lab.yml", "--no-import").out
    assert "--lab FILE" in complaint(run("graph", "--no-import"), 2)
    assert "give one of them" in complaint(run("graph", "--lab", "lab.yml", "-f", "lab.yml"), 2)


# --- completion, the name server of a lab -------------------------------------------------------------------------


def test_completion(lab, monkeypatch):
    monkeypatch.setenv("AGENTLAB_NAMESERVER_ADDRESS", lab.address)
    context = SimpleNamespace(params={})
    assert complete_name(context, "A") == ["Axis"]
    assert complete_attribute(context, "Ax") == ["Axis."]
    assert complete_attribute(context, "Axis.sp") == ["Axis.speed"]
    assert complete_publisher(context, "Axis.") == ["Axis.position"]
    assert complete_publisher(context, "Nobody.") == []
    with socket.socket() as nobody:  # bound, but it does not listen
        nobody.bind(("127.0.0.1", 0))
        context.params["nsaddr"] = f"127.0.0.1:{nobody.getsockname()[1]}"
        assert complete_name(context, "A") == []


def test_the_shell_is_given_names(lab):
    words = {"_AGENTLAB_COMPLETE": "complete_bash", "COMP_WORDS": "agentlab ping Wa", "COMP_CWORD": "2"}
    code = "import sys; from agentlab.cli.main import app; sys.argv = ['agentlab']; app()"
    variables = os.environ | words | {"AGENTLAB_NAMESERVER_ADDRESS": lab.address}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["Watcher"]
    assert done.stderr == ""


def test_the_name_server_of_the_lab_that_runs_here(lab, tmp_path, monkeypatch):
    from agentlab.cli import options
    from agentlab.cli.options import DEFAULT_ADDRESS, nameserver
    from agentlab.errors import ConfigurationError, LabDownError, LabError
    from agentlab.lab.client import LabClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTLAB_NAMESERVER_ADDRESS", raising=False)
    assert nameserver(None) == DEFAULT_ADDRESS
    (tmp_path / "lab.yml").write_text("version: 1\n")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        monkeypatch.setattr(options, "DEFAULT_PORT", listener.getsockname()[1])
        with pytest.raises(LabDownError, match=r"^the lab of lab.yml is not up; start it with: agentlab up$"):
            nameserver(None)
        listener.listen()
        assert nameserver(None) == DEFAULT_ADDRESS  # the lab does not run, and somebody serves there
    with pytest.raises(LabDownError, match=r"agentlab up .*lab.yml$"):
        nameserver(None, tmp_path / "lab.yml")
    monkeypatch.setattr(LabClient, "info", lambda self: {"nameservers": {"other": "127.0.0.1:1", "default": lab.address}})
    assert nameserver(None) == lab.address
    monkeypatch.setattr(LabClient, "info", lambda self: {"nameservers": {"other": "127.0.0.1:1", "default": None}})
    assert nameserver(None) == "127.0.0.1:1"
    monkeypatch.setenv("AGENTLAB_NAMESERVER_ADDRESS", "127.0.0.1:2")
    assert nameserver(None) == "127.0.0.1:2"
    assert nameserver("127.0.0.1:3") == "127.0.0.1:3"
    assert nameserver(None, Path("lab.yml")) == "127.0.0.1:1"  # what is said goes before what is set
    with pytest.raises(ConfigurationError, match="give one of them"):
        nameserver("127.0.0.1:3", Path("lab.yml"))
    monkeypatch.setattr(LabClient, "info", lambda self: {"nameservers": {}})
    with pytest.raises(LabError, match="no name server of the lab of lab.yml is up"):
        nameserver(None, Path("lab.yml"))


@pytest.mark.parametrize(
    "args",
    [
        ["ls"],
        ["get", "Axis.speed"],
        ["set", "Axis.speed", "2.5"],
        ["call", "Axis", "ping"],
        ["watch", "Axis.position", "-n", "1"],
        ["top", "-n", "1", "-i", "0.1"],
        ["describe", "Axis"],
        ["ping", "Axis"],
        ["graph"],
    ],
)
def test_a_lab_is_named_by_its_file(run, lab, monkeypatch, args):
    from agentlab.lab.client import LabClient

    monkeypatch.delenv("AGENTLAB_NAMESERVER_ADDRESS")
    monkeypatch.setattr(LabClient, "info", lambda self: {"nameservers": {self.shown: lab.address}})
    assert run(*args, "-f", "elsewhere.yml").code == 0


def test_a_verb_imports_nothing_of_the_others():
    code = "import sys; from agentlab.cli.main import app; sys.argv = ['agentlab', 'ping', '--bogus']\n"
    code += "try:\n    app()\nfinally:\n    print(*sorted(m for m in sys.modules if m.startswith('agentlab.cli.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    loaded = {name.rpartition(".")[2] for name in done.stdout.split()}
    assert "ping" in loaded and not loaded & {"ls", "up", "demo", "graph", "check"}
    assert COMMAND


# --- short texts --------------------------------------------------------------------------------------------------


def test_short_texts():
    assert [rate_text(x) for x in (None, 0.0, 0.25, 9.96, 10.4, 99_999, 123_456, 2_500_000)] == [
        "-", "0", "0.2", "10.0", "10", "99999", "123k", "2.5M",
    ]  # fmt: skip
    assert [bytes_text(x) for x in (None, 0, 999, 1024, 29_000_000, 1.3e9)] == ["-", "0B", "999B", "1.0K", "28M", "1.2G"]
    now = time.mktime((2024, 5, 17, 12, 0, 0, 0, 0, -1))
    assert since_text(None, now) == "-"
    assert since_text(now - 60, now) == "11:59:00"
    assert since_text(now - 86400, now) == "16 May 12:00"
    assert since_text(now - 2 * 366 * 86400, now).startswith("2022-")
