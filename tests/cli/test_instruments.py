"""The verbs about instruments: small stories with a real lab, and what is shown of answers that are made up."""

import json
import math
import os
import stat
import threading
import time
from array import array

import pytest

from agentlab.cli import estop as estop_verb
from agentlab.cli.describeinstrument import actions, facts, parameter_table
from agentlab.cli.door import say
from agentlab.cli.instrumentlooks import Answer, Place, ask_all, chosen, instruments_of
from agentlab.cli.instruments import _row, _story
from agentlab.cli.options import as_json, as_json_line
from agentlab.cli.owned import owners
from agentlab.cli.peers import member_peer
from agentlab.cli.ps import state_text
from agentlab.cli.reservations import Reservation, forget, keep, note_for, note_of_user, reserved
from agentlab.cli.tables import printable, show, table
from agentlab.cli.watch import _Watcher
from agentlab.errors import LockedError, OfflineError
from agentlab.lab.lab import Lab
from agentlab.lab.places import state_dir
from agentlab.runtime.calling import Caller
from agentlab.testing import wait_condition
from tests.cli.inprocess import Runner
from tests.cli.program import complaint

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and sockets of POSIX")

DRIVERS = '''
from typing import Annotated
from agentlab.instruments import Device, Range, Unit


class Supply(Device):
    """A power supply of paper."""

    def __init__(self, there=True):
        if not there:
            raise ConnectionRefusedError("nobody listens")
        self._voltage, self._name = 0.0, "x"

    @property
    def voltage(self) -> Annotated[float, Unit("V"), Range(0, 30)]:
        """Of the first output."""
        return self._voltage

    @voltage.setter
    def voltage(self, value):
        self._voltage = value

    @property
    def label(self) -> str:
        return self._name

    @label.setter
    def label(self, value: str):
        self._name = value

    def slow(self, seconds: float = 10.0):
        """Take one's time."""
        self.sleep(seconds)
        return "done"

    def safe(self):
        self._voltage = 0.0

    def tint(self):
        return "\\x1b[31mred\\nsecond line"


class Broken:
    def __init__(self):
        raise ValueError("no licence")


class Plain:
    def __init__(self):
        self.x = 1.0
'''
LAB = """
nameservers: [{default: {ns_port: 0}}]
agents: {Meter: {class: "agentlab:Agent"}}
instruments:
  psu: {driver: MODULE.Supply, poll: {voltage: 0.05}, parameters: {voltage: {max: 20}}}
  plain: {driver: MODULE.Plain, owner: {required: true}}
  away: {driver: MODULE.Supply, kwargs: {there: false}}
"""


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return Runner(capsys)


@pytest.fixture
def file(tmp_path, monkeypatch):
    module = f"drivers_{tmp_path.name}"  # one process of pytest must not take another test's module for it
    (tmp_path / f"{module}.py").write_text(DRIVERS)
    (tmp_path / "lab.yml").write_text(LAB.replace("MODULE", module))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lab.yml"


@pytest.fixture
def lab(file):
    with Lab.from_file(file) as lab:
        lab["psu"].wait_online(5)
        lab["plain"].wait_online(5)
        yield lab


def test_reading_and_setting(lab, run):
    assert run("get", "psu.voltage").out == "0 V\n"
    assert run("set", "psu.voltage", "50 mV").out == "psu.voltage = 50 mV\n"
    reading = json.loads(run("get", "psu.voltage", "--json").out)
    assert (reading["value"], reading["unit"], reading["quality"]) == (0.05, "V", "good")
    assert run("set", "psu.voltage", "3", "--tolerance", "0.1", "--timeout", "5").out == "psu.voltage = 3 V\n"
    assert run("get", "psu.voltage").out == "3 V\n"
    run("set", "psu.label", "12")
    assert lab["psu"].label == "12"
    assert run("get", "plain.x").out == "1\n"
    assert run("get", "psu.host").out == "127.0.0.1\n"
    assert run("call", "psu", "slow", "0.01").out == "done\n"
    assert run("set", "psu.voltage", "300", "mV").out == "psu.voltage = 300 mV\n"
    assert lab["psu"].voltage == 0.3
    assert run("get", "psu").out == "voltage  0.3 V\nlabel    12\n"
    assert json.loads(run("get", "psu", "--json").out)["voltage"]["unit"] == "V"
    assert run("call", "psu", "safe").code == 0 and lab["psu"].voltage == 0
    assert run("call", "psu", "tint").out == "\\x1b[31mred\nsecond line\n"
    for args, said, code in (
        (("set", "psu.voltage", "25"), "voltage = 25 V is out of limits; it takes 0 to 20 V; nothing was sent", 2),
        (("set", "psu.voltage", "3 A"), "nothing was sent", 2),
        (("get", "psu.voltag"), "'voltag'; did you mean 'voltage'?", 2),
        (("set", "psu.voltag", "1"), "'voltag'; did you mean 'voltage'?", 2),
        (("set", "psu.slow", "1"), "'slow' of 'psu' is a method; call it: agentlab call psu slow", 2),
        (("get", "away.voltage"), "away is offline", 1),
        (("get", "away"), "away is offline", 1),
        (("get", "pus"), "did you mean 'psu'?", 2),
        (("call", "psu", "slwo"), "'slwo'; did you mean 'slow'? known names: 'label', 'slow', 'tint', 'voltage'", 2),
        (("get", "Meter"), "'Meter' names no attribute; write NAME.attribute", 2),
        (("set", "psu", "3"), "'psu' is an instrument; write psu.PARAMETER: agentlab describe psu lists", 2),
        (("set", "psu.voltage", "-5", "mV"), "voltage = -0.005 V is out of limits", 2),
        (("set", "psu.voltage", "-.5", "--timeout", "3"), "voltage = -0.5 V is out of limits", 2),
        (("set", "--timeout", "3", "psu.voltage", "-5e-3"), "voltage = -0.005 V is out of limits", 2),
        (("set", "plain.x", "1"), "nobody owns it; lock it first: agentlab lock plain", 1),
        (("set", "Meter.x", "1", "--tolerance", "1"), "Meter.x is no parameter of an instrument", 2),
    ):
        assert said in complaint(run(*args), code)


def test_what_an_instrument_is(lab, run):
    whole = run("describe", "psu").out
    assert whole.startswith("psu: instrument with driver drivers_") and "A power supply of paper." in whole
    assert "voltage    float  V     0 to 20  0.05 s  Of the first output." in whole
    assert "slow(seconds=10.0)  Take one's time." in whole and "safe state: yes" in whole
    assert "Attributes" not in whole and "Methods" not in whole and "readings  PUB" in whole
    assert "InstrumentAgent" not in whole
    assert "psu.voltage: float, V" in run("describe", "psu.voltage").out
    assert "voltage" in json.loads(run("describe", "psu", "--json").out)["driver"]["parameters"][0]["name"]
    assert "did you mean 'voltage'" in complaint(run("describe", "psu.voltag"), 2)


def test_the_table_of_instruments_and_watching(lab, run):
    lab["psu"].voltage = 1.5
    assert wait_condition(lambda: "voltage 1.5 V" in run("instruments").out)
    lines = run("instruments").out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["name", "away", "plain", "psu"]
    assert any(line.startswith("away   offline  -      ") for line in lines)
    assert max(map(len, lines)) <= 80
    rows = {row["name"]: row for row in json.loads(run("instruments", "--json").out)}
    assert rows["psu"]["readings"]["voltage"]["unit"] == "V" and rows["away"]["state"] == "offline"
    (line,) = run("instruments", "--watch", "--count", "1", "--json").out.splitlines()
    assert len(json.loads(line)["rows"]) == 3
    assert wait_condition(lambda: run("watch", "psu.voltage", "-n", "1").out.endswith(" 1.5 V\n"))  # the last one published
    assert [line.split(" ", 1)[1] for line in run("watch", "psu.voltage", "-n", "2").out.splitlines()] == ["1.5 V", "1.5 V"]
    assert json.loads(run("watch", "psu.readings", "-n", "1", "--json").out)["name"] == "voltage"
    assert "voltage: 1.5 V" in run("watch", "psu.readings", "-n", "1").out
    assert [line.split(" ", 1)[1] for line in run("watch", "psu", "-n", "2").out.splitlines()] == ["voltage: 1.5 V"] * 2
    assert "plain polls nothing" in complaint(run("watch", "plain"), 2)
    assert "psu.label is not polled" in complaint(run("watch", "psu.label"), 2)
    assert "readings" in complaint(run("watch", "psu.reading"), 2)
    assert "psu" in run("top", "--once").out and "psu" in run("graph").out
    found = {row["name"]: row["state"] for row in json.loads(run("ls", "--json").out)}
    assert found["psu"] == "running" and found["away"] == "offline"


def test_reserving(lab, run):
    psu = lab["psu"]
    assert "psu is locked until" in run("lock", "psu", "--for", "60", "--reason", "calibration").out
    (token_file,) = (state_dir() / "locks").iterdir()
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    with pytest.raises(LockedError, match=r"agentlab lock.*calibration"):
        psu.voltage = 1
    assert run("set", "psu.voltage", "2").code == 0 and psu.voltage == 2
    (row,) = json.loads(run("who", "psu", "--json").out)
    assert row["owner"].endswith("(agentlab lock)") and row["reason"] == "calibration"
    assert "calibration" in run("who").out and "agent does not run" not in run("who").out
    run("lock", "psu", "--for", "600")
    assert lab["psu"].lock_info()["until"] > time.time() + 500
    assert run("unlock", "psu").out.startswith("psu is free; it was locked by")
    assert run("unlock", "psu").out == "psu is free\n" and not token_file.exists()
    with psu.lock(reason="a scan"):
        assert "psu is owned by" in complaint(run("lock", "psu"), 1)
        assert "psu is owned by" in complaint(run("set", "psu.voltage", "1"), 1)
        assert "is no reservation of yours; --force REASON breaks it" in complaint(run("unlock", "psu"), 2)
        assert "for a reason" in complaint(run("unlock", "psu", "--force", " "), 2)
        assert run("unlock", "psu", "--force", "he went home").code == 0
        assert run("set", "psu.voltage", "4").code == 0
    assert "'Meter' is no instrument" in complaint(run("lock", "Meter"), 2)
    assert "there is no instrument 'pus'; did you mean 'psu'?" in complaint(run("who", "pus"), 2)


def test_stopping_everything(lab, run):
    psu = lab["psu"]
    psu.voltage = 5
    busy = psu.future.slow(30)
    assert wait_condition(lambda: psu.status()["state"] == "busy")
    outcome = run("estop", "--reason", "smoke")
    assert outcome.code == 1  # of one that is away nobody knows whether it is safe
    lines = outcome.out.splitlines()
    assert lines[0].startswith("away: latched, its safe state is pending: offline") and "psu: safe" in lines[2]
    assert lines[1] == "plain: latched; it has no safe state"
    assert psu.voltage == 0
    with pytest.raises(Exception, match="cancel"):
        busy.result(5)
    assert "smoke" in complaint(run("set", "psu.voltage", "1"), 1)
    assert run("get", "psu.voltage").out == "0 V\n"
    assert "or give --all; latched: away, plain, psu" in complaint(run("reset"), 2)
    assert "both say which" in complaint(run("reset", "psu", "--all"), 2)
    assert run("reset", "psu", "plain").out == "psu can be set again\nplain can be set again\n"
    assert run("reset", "--all").out == "away can be set again\n"
    assert run("reset", "--all").out == "nothing is latched\n"
    assert run("set", "psu.voltage", "1").code == 0
    assert run("estop", "pus").out == ""
    outcome = run("estop", "pus", "psu", "--json")  # a slip must not keep the others from being stopped
    assert outcome.code == 2 and "did you mean 'psu'?" in outcome.err
    (row,) = json.loads(outcome.out)
    assert row["safe"] and psu.status()["state"] == "safe"
    assert "did you mean 'psu'?" in complaint(run("reset", "pus"), 2)


def test_a_running_lab_knows_its_instruments(file, run):
    try:
        file.write_text(file.read_text() + f"  broken: {{driver: drivers_{file.parent.name}.Broken}}\n")
        outcome = run("up")
        assert "6 of 6 units running" in outcome.out, outcome
        assert "instrument/psu" in run("ps", "lab.yml").out and "instrument/psu" in run("ps", "--file", file).out
        assert "give one of them" in complaint(run("ps", "lab.yml", "--file", file), 2)
        assert "is up already, with its real instruments" in complaint(run("up", "--simulated"), 2)
        assert wait_condition(lambda: "running, offline" in run("ps").out and "running, fault" in run("ps").out)
        assert "ValueError: no licence" in run("status", "broken").out
        assert "no licence" in " ".join(run("instruments").out.split())
        rows = {row["unit"]: row for row in json.loads(run("ps", "--json").out)}
        assert rows["instrument/psu"]["instrument"]["state"] == "online"
        assert rows["instrument/away"]["kind"] == "instrument"
        assert "instrument  offline, since" in run("status", "away").out
        for verb, said in (("restart", "is up again"), ("stop", "is stopped")):
            with Lab.attach(file) as lab:
                own = lab["plain"].lock(reason="a night")
                outcome = run(verb, "plain")
                assert "instrument/plain was owned by" in outcome.err and ", for: a night; that lock ends" in outcome.err
                assert outcome.code == 0 and said in outcome.out and own.lost is not None
        for args in (("get", "plain.x"), ("get", "plain"), ("call", "plain", "x"), ("set", "plain.x", "1")):
            assert "plain does not run, it is stopped" in (said := complaint(run(*args), 2)) and "agentlab start plain" in said
        assert "its agent does not run (stopped)" in run("instruments").out
        run("stop", "nameserver/default")
        assert run("estop", "psu").out == "psu: safe\n"  # the supervisor knows where it is
        assert "psu was NOT reached" not in run("estop").err
        run("start", "nameserver/default")
        with Lab.attach(file) as lab:
            assert lab["psu"].status()["state"] == "safe" and list(lab) == ["Meter", "psu", "plain", "away", "broken"]
    finally:
        run("down")


def test_a_dry_run(file, run):
    text = file.read_text().replace("there: false}}", "there: false}, simulated: {driver: MODULE.Supply}}")
    file.write_text(text.replace("MODULE", f"drivers_{file.parent.name}"))
    assert "has no stand-in" in run("check", "--simulated").out
    try:
        outcome = run("up", "--simulated")
        assert "lab.yml is up, simulated: 5 of 5" in outcome.out, outcome
        assert "no stand-in, so with their real drivers: psu, plain; give them simulated:\n" in outcome.out
        assert "real drivers: psu, plain" in run("logs").out
        assert "simulated" in run("status").out
        assert wait_condition(lambda: run("get", "away.voltage").out == "0 V\n")
        run("reload")
        assert run("get", "away.voltage").out == "0 V\n"
    finally:
        run("down")


def test_what_goes_on_after_ctrl_c_is_said(lab, run, monkeypatch):
    psu, call = lab["psu"], Caller.call

    def interrupted(caller, method, *args, **options):
        if method != "slow":
            return call(caller, method, *args, **options)
        psu.future.slow(30)
        assert wait_condition(lambda: psu.status()["action"] == "slow")
        raise KeyboardInterrupt

    monkeypatch.setattr(Caller, "call", interrupted)
    outcome = run("call", "psu", "slow", "30")
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err == "agentlab: interrupted; psu goes on with slow; agentlab call psu cancel ends it\n"
    monkeypatch.undo()
    assert "'cancelled': 'slow'" in run("call", "psu", "cancel").out
    assert psu.status()["action"] == ""


# --- without a lab ------------------------------------------------------------------------------------------------


def test_no_instrument_is_no_error(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with Lab.from_file(_small(tmp_path)) as lab:
        nsaddr = str(lab.nameserver().addr())
        assert run("instruments", "--nsaddr", nsaddr).out == "there is no instrument\n"
        assert run("who", "--nsaddr", nsaddr).out == "there is no instrument\n"
        assert run("estop", "--nsaddr", nsaddr).out == "there is no instrument to stop\n"
        assert instruments_of(nsaddr) == {}
        with pytest.raises(Exception, match="Meter.x"), member_peer("Meter.x.y", "attribute", nsaddr):
            pass


def _small(folder):
    path = folder / "small.yml"
    path.write_text('nameservers: [{default: {ns_port: 0}}]\nagents: {Meter: {class: "agentlab:Agent"}}\n')
    return path


def test_what_is_published_cannot_steer_the_terminal(capsys):
    _Watcher(1, as_lines_of_json=False).take(None, "\x1b]0;mine\x07", "power")
    assert capsys.readouterr().out.endswith("power: \\x1b]0;mine\\x07\n")


def test_names_are_chosen():
    places = {name: Place(name, None) for name in ("psu", "dmm")}
    assert chosen(places, ()) == ([places["psu"], places["dmm"]], [])
    found, wrong = chosen(places, ["dmm", "dm", "dmm"])
    assert found == [places["dmm"]] and len(wrong) == 1 and "did you mean 'dmm'?" in wrong[0]


def test_all_are_asked_at_once_and_none_harms_the_others():
    together = threading.Barrier(3, timeout=5)

    def ask(caller):
        together.wait()
        if caller.name == "b":
            raise OfflineError("b is offline")
        if caller.name == "c":
            raise KeyError("what")
        return 1

    uri = "PYRO:x@127.0.0.1:1"
    places = [Place("a", uri), Place("b", uri), Place("c", uri), Place("d", None, "failed", "no module")]
    a, b, c, d = ask_all(places, ask)
    assert a.value == 1 and a.error is None
    assert isinstance(b.error, OfflineError) and c.error == "KeyError: 'what'"
    assert d.error == "its agent does not run (failed: no module)"
    assert ask_all([], ask) == []


def test_a_reservation_is_kept_and_forgotten():
    kept = Reservation("psu", "PYRO:a@./u:x", "secret", time.time() + 60)
    assert reserved(kept.uri) is None and note_for(kept.uri)(None)["token"] is None
    keep(kept)
    assert reserved(kept.uri) == kept and note_for(kept.uri)(3.0)["token"] == "secret"
    assert reserved("PYRO:b@./u:x") is None
    forget(kept.uri)
    forget(kept.uri)
    keep(Reservation("psu", kept.uri, "secret", time.time() - 1))
    assert reserved(kept.uri) is None and not list((state_dir() / "locks").iterdir())
    assert note_of_user("estop")(None)["label"].endswith("(agentlab estop)")


def test_half_a_reservation_is_none():
    kept = Reservation("psu", "PYRO:a@./u:x", "secret", time.time() + 60)
    keep(kept)
    (path,) = (state_dir() / "locks").iterdir()
    half = '{"name": "psu", "uri": "PYRO:a@./u:x", "token": "secret", "until": %s}'
    for text in ("", "[]", '{"name": "psu"}', "\x00", half % '"soon"', half % "null", "[" * 100_000):
        path.write_text(text)
        assert reserved(kept.uri) is None
    path.unlink(missing_ok=True)


def test_a_reservation_that_cannot_be_kept_is_none(lab, run, monkeypatch, tmp_path):
    """Its token would be lost, and the instrument be locked for nobody."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("AGENTLAB_STATE_DIR", str(tmp_path / "file"))
    assert run("lock", "plain").code in (1, 2)
    assert lab["plain"].lock_info()["owner"] == ""
    assert "invalid value for '--for'" in complaint(run("lock", "plain", "--for", "inf"), 2)


def test_what_json_does_not_know_is_still_json():
    circle = []
    circle.append(circle)
    value = {"a": math.nan, (1, 2): [math.inf, -math.inf], "b": b"x", "c": 1 + 2j, "d": array("d", [1.0, math.nan]), None: {1}}
    for text in (as_json(value), as_json_line(value)):
        assert json.loads(text, parse_constant=pytest.fail) == {
            "a": None,
            "(1, 2)": ["inf", "-inf"],
            "b": "b'x'",
            "c": "(1+2j)",
            "d": [1.0, None],
            "None": "{1}",
        }
    assert json.loads(as_json_line(circle)) == "[[...]]"
    assert as_json_line({1: 2.5}) == '{"1": 2.5}'


def test_what_devices_say_does_not_steer_the_terminal(capsys):
    text = "\x1b[31mred\n\x07\u202e\u00a05 \u00b0C"
    assert printable(text) == "\\x1b[31mred\\n\\x07\\u202e\u00a05 \u00b0C"
    assert printable("a\nb\t\x1b", keep="\n\t") == "a\nb\t\\x1b"
    show(table(("name",), [[text]]))
    say(text)
    out, err = capsys.readouterr()
    assert not {"\x1b", "\x07", "\u202e"} & {*out, *err} and "\\x1b[31mred" in out and "\\x1b[31mred" in err
    story = _story(_row(Answer(Place("psu", "uri"), status(readings={"a": reading("a", "\x1b" + "x" * 10_000)}))))
    assert len(story) == 60 and "\x1b" not in story


def status(**more):
    return {"state": "online", "owner": "", "action": "", "reason": "", "elapsed": None, "progress": None, "readings": {}, **more}


def reading(name, value, sequence=0, **more):
    return {"name": name, "value": value, "unit": "V", "quality": "good", "timestamp": 1.0, "sequence": sequence, **more}


@pytest.mark.parametrize(
    ("said", "story"),
    [
        (status(), "-"),
        (status(readings={"a": reading("a", 1.0), "b": reading("b", 2.5, 7)}), "b 2.5 V, a 1 V"),
        (status(readings={"a": reading("a", None, quality="bad")}), "-"),
        (
            status(readings={str(i): reading(str(i), i, 1) for i in range(8)}),
            "0 0 V, 1 1 V, 2 2 V, 3 3 V, 4 4 V, 5 5 V and 2 more",
        ),
        (status(state="busy", action="slow", elapsed=1.25, progress=0.5), "slow runs since 1.2 s, 50 %"),
        (
            status(state="busy", action="get x", elapsed=42.0, hangs={"text": "get x has not come back"}),
            "get x has not come back",
        ),
        (status(state="connecting", reason="no end", hangs={"text": "no end"}), "no end"),
        (
            status(state="offline", reason="unplugged", readings={"a": reading("a", 1.0, 1, quality="stale")}),
            "unplugged; a 1 V (stale)",
        ),
    ],
)
def test_what_the_table_tells(said, story):
    assert _story(_row(Answer(Place("psu", "uri"), said))) == story


@pytest.mark.parametrize(("by", "who"), [("ann@lab1", "ann@lab1"), ("", "somebody")])
def test_who_latched_it_and_why_is_shown_also_of_what_is_away(by, who):
    row = {"state": "offline", "reason": "no device", "no_answer": None, "readings": {}, "latch": {"by": by, "reason": "smoke"}}
    assert _story(row) == f"no device; latched by {who}: smoke"
    row["latch"]["since"] = 981_028_800.0  # noon of February 1, 2001, in Greenwich: that day nearly everywhere
    assert _story(row) == f"no device; latched since 2001-02-01 by {who}: smoke"


def test_who_does_not_answer_is_shown():
    row = _row(Answer(Place("psu", "uri"), error="no answer within 1 s"))
    assert row["state"] == "silent" and _story(row) == "no answer within 1 s"
    assert _row(Answer(Place("psu", None, "failed", "no module"), error="x"))["state"] == "failed"


def test_the_state_of_a_unit_with_its_device():
    assert state_text({"state": "running"}) == "running"
    assert state_text({"state": "running", "instrument": {"state": "busy"}}) == "running"
    assert state_text({"state": "running", "instrument": {"state": "fault"}}) == "running, fault"


def test_a_safe_state_that_fails_or_is_not_reached_is_said(capsys):
    row = {
        "name": "x",
        "latched": True,
        "aborted": False,
        "pending": None,
        "safe": False,
        "failed": [],
        "over": True,
        "error": None,
    }
    rows = [
        {**row, "safe": True, "aborted": True},
        {**row, "failed": ["voltage: no reply"]},
        {**row, "pending": "slow runs"},
        {**row, "error": "no answer"},
        row,
    ]
    estop_verb._tell(rows)
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "x: safe, the call that ran was ended",
        "x: latched, its safe state is pending: slow runs",
        "x: latched; it has no safe state",
    ]
    assert err.splitlines() == [
        "agentlab: x is latched, but NOT safe: voltage: no reply",
        "agentlab: x was NOT reached: no answer",
    ]


def test_a_description_is_shown_whatever_is_missing():
    assert facts({}) == ["safe state: none"]
    assert parameter_table({}) is None
    described = {
        "driver": "m:C",
        "watchdog": 3.0,
        "interlocks": ["a.x > 1 -> b.safe()"],
        "parameters": [{"name": "f", "type": "str", "choices": ["a", "b"], "writable": False, "step": None, "doc": "x\ny"}],
        "actions": [{"name": "go", "doc": "", "parameters": [["speed", 1, "3"], ["bad name", 1, None]]}],
    }
    assert facts(described)[1:] == ["watchdog: 3 s", "interlock: a.x > 1 -> b.safe()"]
    assert [column.header for column in parameter_table(described).columns] == ["parameter", "type", "about"]
    assert list(actions(described)) == [("go(...)", "")]


def test_who_is_started_again_meanwhile_is_stopped_again(monkeypatch, capsys):
    """A reload, or a restart after a crash: the new agent knows of no latch."""
    looks = [{"a": Place("a", "PYRO:old@h:1")}, {"a": Place("a", None, "starting")}, {"a": Place("a", "PYRO:new@h:1")}]
    seen = []

    def look(*_):
        return looks.pop(0) if len(looks) > 1 else looks[0]

    def ask(places, *_more):
        seen.extend(place.uri for place in places)
        latched = {"latched": True, "aborted": False, "pending": None}
        return [Answer(place, latched) for place in places]

    monkeypatch.setattr(estop_verb, "supervised", look)
    monkeypatch.setattr(estop_verb, "instruments_of", look)
    monkeypatch.setattr(estop_verb, "ask_all", ask)
    monkeypatch.setattr(estop_verb, "_follow", lambda *_: None)
    estop_verb.estop(reason="smoke", wait=5.0)
    assert seen == ["PYRO:old@h:1", "PYRO:new@h:1"]
    assert capsys.readouterr().out.startswith("a: ")


def test_a_reload_says_whose_locks_it_ended(monkeypatch, run):
    class Client:
        def __init__(self, file): ...
        def __enter__(self):
            return self

        def __exit__(self, *error): ...
        def status(self):
            return [
                {"unit": f"instrument/{n}", "kind": "instrument", "uri": n, "state": "running", "name": n} for n in ("psu", "dmm")
            ] + [{"unit": "agent/x", "kind": "agent", "uri": "x", "state": "running", "name": "x"}]

        def reload(self):
            return {"changed": ["instrument/psu", "agent/x"], "unchanged": ["instrument/dmm"]}

    def ask(places, _ask):
        return [Answer(place, {"owner": "ann", "reason": "a night" * (place.uri == "psu")}) for place in places]

    monkeypatch.setattr("agentlab.cli.reload.LabClient", Client)
    monkeypatch.setattr("agentlab.cli.owned.ask_all", ask)
    outcome = run("reload")
    assert outcome.err == "agentlab: instrument/psu was owned by ann, for: a night; that lock ends with its agent\n"
    assert owners(Client("").status()) == {"instrument/psu": "ann, for: a night", "instrument/dmm": "ann"}
