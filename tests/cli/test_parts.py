"""Parts of the verbs about instruments, with nobody behind them: what is asked, and what becomes of the answers."""

import json
import time
from types import SimpleNamespace

import pytest
import typer

from agentlab.cli import completion, reservations
from agentlab.cli import estop as estop_verb
from agentlab.cli import up as up_verb
from agentlab.cli.asking import Peer
from agentlab.cli.call import _ask
from agentlab.cli.describeinstrument import without_arguments
from agentlab.cli.instrumentlooks import Answer, Place
from agentlab.cli.instruments import _story
from agentlab.cli.ls import _row
from agentlab.cli.options import seconds
from agentlab.cli.reservations import Reservation, keep, reserved
from agentlab.cli.tables import since_text
from agentlab.errors import LabDownError
from agentlab.lab.places import state_dir
from agentlab.nameserver.registration import Registration


class Loading:
    """Stands for the caller of an instrument whose driver is loaded when somebody waits for it."""

    name, uri, kind, note = "psu", "PYRO:x@h:1", "instrument", None

    def __init__(self):
        self.asked = []

    def call(self, method, args, kwargs, *, safe, timeout):
        self.asked.append(method)
        here = "_await" in self.asked
        if method == "describe":
            return {"parameters": [{"name": "voltage"}] if here else [], "whole": here}
        if method == "_describe":
            return {"methods": ["ping", *(["measure"] if here else [])], "kind": "instrument"}
        return None if method == "_await" else (method, args, safe)


def test_what_a_driver_has_is_waited_for():
    caller = Loading()
    assert _ask(Peer(caller), "measure", [3], {}, safe=True, timeout=None) == ("measure", (3,), True)
    assert caller.asked == ["_describe", "describe", "_await", "_describe", "measure"]
    caller = Loading()
    assert Peer(caller).parameter("voltage") == {"name": "voltage"}
    assert caller.asked == ["describe", "_await", "describe"]
    caller = Loading()
    assert Peer(caller).has_method("ping") and caller.asked == ["_describe"]  # what is known needs no wait


def row(name, own, *, state="running"):
    return {"unit": f"instrument/{name}", "name": name, "kind": "instrument", "state": state, "uri": "PYRO:x@h:1", "own": own}


def test_up_tells_which_instruments_are_not_well(monkeypatch):
    looks = []

    def look(rows):
        looks.append(1)
        for one in rows:
            if one["own"] is not None:
                one["instrument"] = one["own"].pop(0) if len(one["own"]) > 1 else one["own"][0]

    monkeypatch.setattr(up_verb, "look_at_instruments", look)
    latch = {"by": "somebody", "reason": "smoke"}
    rows = [
        row("a", [{"state": "connecting"}, {"state": "connecting"}, {"state": "online"}]),
        row("b", [{"state": "fault", "reason": "ValueError: no\nTraceback"}]),
        row("c", [{"state": "safe", "latch": latch, "reason": "smoke"}]),
        row("d", [{"state": "offline", "reason": None}]),
        row("e", [{"state": "busy"}]),
        row("f", None, state="failed"),
    ]
    up_verb.look_until_connected(rows)
    assert len(looks) == 3
    assert up_verb.unwell(rows) == [
        "instrument/b is in fault: ValueError: no",
        "instrument/c is latched in its safe state: smoke; agentlab reset c ends that",
        "instrument/d is offline",
    ]


def test_up_waits_for_no_device_that_does_not_come(monkeypatch):
    monkeypatch.setattr(up_verb, "LOADING", 0.05)
    monkeypatch.setattr(up_verb, "look_at_instruments", lambda rows: rows[0].update(instrument={"state": "connecting"}))
    rows = [row("a", None)]
    up_verb.look_until_connected(rows)
    assert up_verb.unwell(rows) == ["instrument/a is connecting"]


def test_what_was_stopped_is_told_though_nobody_can_be_asked_for_more(monkeypatch, capsys):
    def nobody(*_):
        raise LabDownError("the lab of lab.yml is not up")

    monkeypatch.setattr(estop_verb, "supervised", lambda *_: {"a": Place("a", "PYRO:x@h:1")})
    monkeypatch.setattr(estop_verb, "instruments_of", nobody)
    latched = {"latched": True, "aborted": False, "pending": None}
    monkeypatch.setattr(estop_verb, "ask_all", lambda places, *_: [Answer(place, latched) for place in places])
    monkeypatch.setattr(estop_verb, "_follow", lambda stopped, _: stopped["a"][1].update(safe=True, over=True))
    with pytest.raises(typer.Exit) as ended:
        estop_verb.estop(reason="smoke", wait=1.0)
    assert ended.value.exit_code == 1
    out, err = capsys.readouterr()
    assert out == "a: safe\n" and "whether there are more could not be asked: the lab of lab.yml is not up" in err
    monkeypatch.setattr(estop_verb, "supervised", lambda *_: {})
    with pytest.raises(LabDownError):
        estop_verb.estop(reason="smoke", wait=1.0)


def test_reservations_that_are_over_leave_no_file():
    now = time.time()
    keep(Reservation("old", "PYRO:old@h:1", "t", now - 1))
    (state_dir() / "locks" / "damaged.json").write_text("[")
    keep(Reservation("new", "PYRO:new@h:1", "t", now + 60))
    keep(Reservation("more", "PYRO:more@h:1", "t", now + 60))
    kept = {path.name: path.read_text() for path in (state_dir() / "locks").iterdir()}
    assert kept.pop("damaged.json") == "["
    assert {json.loads(text)["name"] for text in kept.values()} == {"new", "more"}
    assert reserved("PYRO:new@h:1").token == "t"
    reservations.forget("PYRO:new@h:1")
    reservations.forget("PYRO:more@h:1")


def test_only_readings_that_are_there_are_counted():
    readings = {f"p{n}": {"name": f"p{n}", "value": None if n < 6 else n, "sequence": 1} for n in range(8)}
    story = _story({"state": "online", "no_answer": None, "readings": readings})
    assert story == "p6 6, p7 7"
    readings = {f"p{n}": {"name": f"p{n}", "value": n, "sequence": 1} for n in range(8)}
    assert _story({"state": "online", "no_answer": None, "readings": readings}).endswith("p5 5 and 2 more")


@pytest.mark.parametrize("since", [1e300, float("inf"), float("nan"), -1e18])
def test_whoever_registers_may_say_what_it_likes(since):
    assert since_text(since, time.time()) == "?"
    shown = _row(Registration("x", "PYRO:x@h:1", {"class": "m.C", "started": since}), ("silent", None))
    assert shown["since"] is None


@pytest.mark.parametrize("given", ["nan", "inf", "-inf", "-1", "1e300", "soon", ""])
def test_what_is_no_time_to_wait(given):
    with pytest.raises(typer.BadParameter, match="allowed are seconds from 0 to 31622400"):
        seconds()(given)


def test_times_to_wait():
    assert [seconds()(given) for given in ("0", "2.5", 3, "31622400")] == [0.0, 2.5, 3.0, 31622400.0]
    with pytest.raises(typer.BadParameter, match="from 0.1 to"):
        seconds(0.1)("0.05")


def test_a_shell_that_completes_shows_no_traceback(monkeypatch):
    def raising(*_, **__):
        raise AttributeError("no such question")

    monkeypatch.setattr("agentlab.nameserver.client.NameServerClient", raising)
    assert completion.complete_name(SimpleNamespace(params={"nsaddr": "127.0.0.1:1"}), "x") == []


def test_what_a_constructor_takes_is_not_shown():
    assert without_arguments("A stage.\n\nIt moves.\n\nArgs:\n    seed: Of it.\n") == "A stage.\n\nIt moves."
    assert without_arguments("Args: of a kind.") == "Args: of a kind."
