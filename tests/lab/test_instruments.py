"""Instruments in a lab file: what may be said of them, what is wrong, and what their agents are given."""

import json
import sys
from pathlib import Path

import pytest

from agentlab.errors import ConfigurationError
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.lab.file import look_at_lab, read_lab
from agentlab.lab.graph import graph_of_lab
from agentlab.lab.hosts import is_here
from agentlab.lab.places import lab_places
from agentlab.lab.plan import make_plan
from agentlab.lab.rename import plan_renaming
from agentlab.lab.schema import lab_schema
from agentlab.lab.specs import instrument_agent_spec
from agentlab.lab.stand_ins import dry_run_lines
from agentlab.wire.address import SocketAddress
from tests.lab.written import complaints, lab, one_problem, problems, write

DRIVERS = """
from typing import Annotated
from agentlab import Agent
from agentlab.instruments import Range, Unit


class Supply:
    def __init__(self, port, speed=9600):
        raise AssertionError("nobody may build it")

    @property
    def voltage(self) -> Annotated[float, Unit("V"), Range(0, 30)]:
        raise AssertionError("nobody may ask")

    @voltage.setter
    def voltage(self, value): ...

    def calibrate(self): ...

    def safe(self): ...


class Toy(Supply):
    def __init__(self): ...


class Listener(Agent):
    def on_x(self, message): ...
"""
TABLE = """
temperature: {get: "T?", type: float, unit: K}
power: {get: "P?", set: "P {:g}", type: float, unit: W, min: 0, max: 5}
actions:
  off: {write: "OFF"}
"""
AT = SocketAddress("127.0.0.1", 9090)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "drivers.py").write_text(DRIVERS)
    (tmp_path / "oven.yml").write_text(TABLE)
    return tmp_path


def spec_of(found, name):
    spec = instrument_agent_spec(found, name, AT, instance="x")
    assert spec.base == "agentlab.instruments.agent:InstrumentAgent" and list(spec.attributes) == ["instrument"]
    described = InstrumentSpec.from_dict(spec.attributes["instrument"])
    latch = Path(described.latch_file)  # each lab file has its own, and the latch outlives agents and lab there
    assert latch.parent == lab_places(found.path).latches
    described.latch_file = None
    return described


# --- what may be said ---------------------------------------------------------------------------------------------


def test_a_small_instrument(folder):
    found = lab(folder, "instruments: {psu: {driver: drivers.Supply, address: COM3}}")
    assert spec_of(found, "psu") == InstrumentSpec("psu", "drivers:Supply", "COM3")
    unit = make_plan(found, is_here).units["instrument/psu"]
    assert (unit.kind, unit.needs, unit.restart, unit.wanted) == ("instrument", ("nameserver/default",), "transient", True)
    assert found.counts()["instruments"] == 1 and found.where["instrument/psu"].endswith("lab.yml:1:15")


def test_everything_can_be_said(folder):
    found = lab(
        folder,
        """
        interlocks: [oven.temperature > 320 K -> psu.safe(), "oven.temperature < 1 K -> oven.off()"]
        instruments:
          psu:
            driver: drivers:Supply
            address: COM3
            args: [1]
            kwargs: {speed: 2, sim: oven.yml, other: nothere.yml, lib: "oven.yml@sim"}
            parameters: {voltage: {max: 5, unit: V, step: 10 mV, choices: null, doc: null}}
            poll: {voltage: 0.5}
            owner: {required: true, lease: 3, on_lost: safe}
            safe: {voltage: 0, current: 1}
            history: kept.sqlite
            watchdog: 9
            timeout: 0.5
            ping: ID?
            host: 127.0.0.1
            addr: 127.0.0.1:9400
            tags: [a]
            after: [oven]
            stop_timeout: 0.5
            serializer: json
            transport: tcp
          oven: {driver: "agentlab.instruments:ScpiDevice", address: "TCPIP::h::1::SOCKET", parameters: oven.yml, poll: 1,
                 history: true}
        """,
    )
    assert spec_of(found, "psu") == InstrumentSpec(
        "psu",
        "drivers:Supply",
        "COM3",
        (1,),
        {"speed": 2, "sim": str(folder / "oven.yml"), "other": "nothere.yml", "lib": f"{folder / 'oven.yml'}@sim"},
        {"voltage": {"max": 5, "unit": "V", "step": "10 mV", "choices": None}},
        {"voltage": 0.5},
        {"voltage": 0, "current": 1},
        owner_required=True,
        owner_lease=3,
        on_owner_lost="safe",
        interlocks=["oven.temperature > 320 K -> psu.safe()"],
        history=str(folder / "kept.sqlite"),
        watchdog=9,
        timeout=0.5,
        ping="ID?",
    )
    spec = instrument_agent_spec(found, "psu", AT, instance="x", pulse="p", log_json=True)
    assert (spec.addr, spec.tags, spec.serializer, spec.transport) == ("127.0.0.1:9400", ("a",), "json", "tcp")
    assert (spec.pulse, spec.log_json, spec.instance) == ("p", True, "x")
    oven = spec_of(found, "oven")
    assert oven.kwargs == {"parameters": str(folder / "oven.yml")} and oven.parameters == {}
    assert oven.history == str(folder / "history.sqlite") and oven.interlocks == ["oven.temperature < 1 K -> oven.off()"]
    units = make_plan(found, is_here).units
    assert list(units) == ["nameserver/default", "instrument/oven", "instrument/psu"]
    assert units["instrument/psu"].follows == ("instrument/oven",)
    assert units["instrument/psu"].needs == ("nameserver/default", "instrument/oven")


@pytest.mark.parametrize(
    ("said", "meant"),
    [("false", False), ("null", None), ("park", "park"), ("[stop, park]", ["stop", "park"]), ("{x: 0}", {"x": 0})],
)
def test_the_safe_state(tmp_path, said, meant):
    found = lab(tmp_path, f"instruments: {{psu: {{driver: m.C, safe: {said}}}}}")
    assert spec_of(found, "psu").safe == meant


def test_groups_order_and_autolaunch_know_instruments(tmp_path):
    found = lab(
        tmp_path,
        """
        agents: {Scan: {class: m.C, after: [psu]}, Meter: {class: m.C}}
        instruments: {psu: {driver: m.C}, spare: {driver: m.C}}
        groups: {g: {members: [psu, Scan], strategy: rest_for_one}}
        autolaunch: {agents: [Scan], instruments: []}
        wires: [{from: psu.readings, to: Meter.on_voltage, topic: voltage}]
        """,
    )
    units = make_plan(found, is_here).units
    assert units["agent/Scan"].needs == ("nameserver/default", "instrument/psu")
    assert units["agent/Meter"].follows == ("instrument/psu",)
    assert [name for name, unit in units.items() if unit.wanted] == ["nameserver/default", "instrument/psu", "agent/Scan"]
    assert units["instrument/psu"].group == "g"
    (edge,) = graph_of_lab(found).edges
    assert (edge.source, edge.kind, edge.target, edge.topics) == ("psu", "PUB", "Meter", ("voltage",))
    assert {node.name: node.note for node in graph_of_lab(found).nodes}["spare"] == "C"


def test_what_an_instrument_is_started_again_for(tmp_path):
    text = """
    interlocks: [a.x > {limit} -> b.safe()]
    instruments: {{a: {{driver: m.C, poll: 1}}, b: {{driver: m.C, timeout: {timeout}}}}}
    """

    def fingerprints(limit, timeout):
        units = make_plan(lab(tmp_path, text.format(limit=limit, timeout=timeout)), is_here).units
        return units["instrument/a"].fingerprint, units["instrument/b"].fingerprint

    first = fingerprints(1, 1)
    assert fingerprints(1, 1) == first
    for other in (fingerprints(2, 1), fingerprints(1, 2)):
        assert other[0] == first[0] and other[1] != first[1]


def test_a_changed_table_is_a_changed_instrument(folder):
    text = "instruments: {oven: {driver: m.C, parameters: oven.yml}, psu: {driver: m.C, kwargs: {lib: 'oven.yml@sim'}}}"

    def fingerprints():
        units = make_plan(lab(folder, text), is_here).units
        return units["instrument/oven"].fingerprint, units["instrument/psu"].fingerprint

    first = fingerprints()
    assert fingerprints() == first
    (folder / "oven.yml").write_text(TABLE.replace("T?", "TEMP?"))
    assert not set(fingerprints()) & set(first)


def test_a_table_is_one_whatever_its_file_is_called(folder):
    (folder / "oven.yml").rename(folder / "oven.table")
    text = "instruments: {oven: {driver: m.C, parameters: oven.table}, psu: {driver: m.C, kwargs: {parameters: oven.table}}}"
    first = lab(folder, text).tables
    (folder / "oven.table").write_text(TABLE.replace("T?", "TEMP?"))
    assert set(first) == {"oven", "psu"} and not {*first.values()} & {*lab(folder, text).tables.values()}


def test_a_table_that_nobody_may_read_is_told_by_whoever_needs_it(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    text = "instruments: {oven: {driver: m.C, kwargs: {parameters: oven.yml}}}"
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert lab(folder, text).tables == {}


def test_days_of_a_history_that_is_not_kept_are_noted(folder):
    text = "instruments: {a: {driver: m.C, history_days: 3}, b: {driver: m.C, history: true, history_days: 3}}"
    assert [note.key for note in lab(folder, text).notes] == ["instruments.a.history_days"]


# --- dry runs -----------------------------------------------------------------------------------------------------

SIMULATED = """
instruments:
  psu:
    {driver: drivers.Supply, address: COM3, kwargs: {speed: 1}, parameters: {voltage: {max: 5}}, ping: 'ID?',
     simulated: drivers.Toy}
  dmm:
    driver: nothere.Dmm
    simulated:
      {driver: "agentlab.instruments:ScpiDevice", address: "TCPIP::h::1::SOCKET", parameters: oven.yml,
       kwargs: {encoding: ascii}}
  old: {driver: drivers.Supply, address: COM4}
"""


@pytest.mark.parametrize("how", ["file", "asked"])
def test_stand_ins(folder, how):
    text = ("simulated: true" if how == "file" else "") + SIMULATED
    found = lab(folder, text, simulated=how == "asked")
    assert found.simulated
    assert spec_of(found, "psu") == InstrumentSpec("psu", "drivers:Toy", parameters={"voltage": {"max": 5}})
    dmm = spec_of(found, "dmm")
    assert dmm.driver == "agentlab.instruments:ScpiDevice" and dmm.address == "TCPIP::h::1::SOCKET"
    assert dmm.kwargs == {"parameters": str(folder / "oven.yml"), "encoding": "ascii"}
    assert spec_of(found, "old").address == "COM4"
    assert [note.key for note in found.notes if "has no stand-in" in note.text] == ["instruments.old"]


def test_without_simulation_the_real_drivers_are_used(folder):
    found = lab(folder, SIMULATED)
    assert not found.simulated and spec_of(found, "psu").driver == "drivers:Supply" and not found.notes


def test_drivers_that_are_not_used_need_not_be_there(folder):
    simulated = lab(folder, "simulated: true" + SIMULATED, inspect=True)
    assert spec_of(simulated, "dmm").driver == "agentlab.instruments:ScpiDevice"
    text = SIMULATED.replace("nothere.Dmm", "drivers.Toy").replace("simulated: drivers.Toy", "simulated: drivers.Toi")
    (note,) = lab(folder, text, inspect=True).notes
    assert note.key == "instruments.psu.simulated.driver" and "did you mean 'Toy'" in note.text


STAND_INS = """
from agentlab.instruments import Device
from drivers import Toy


class Bare(Toy):
    def __init__(self):
        self.level = 1.0


class Loose(Bare):
    def __init__(self, **given):
        super().__init__()
        for name, value in given.items():
            setattr(self, name, value)


class Based(Device, Bare): ...
"""
LACKING = """
instruments:
  psu:
    {{driver: "agentlab.instruments:ScpiDevice", address: GPIB::1, kwargs: {{parameters: psu.yml}},
     parameters: {{out: {{max: 3}}, voltage: {{max: 5}}, level: {{max: 2}}}},
     poll: {{out: 1, level: 2}}, safe: {safe}, simulated: {stand_in}}}
"""


@pytest.fixture
def lacking(folder):
    (folder / "stand_ins.py").write_text(STAND_INS)
    words = ("voltage", "out", "level")
    (folder / "psu.yml").write_text("".join(f'{name}: {{get: "{name}?", set: "{name} {{:g}}", max: 9}}\n' for name in words))
    return folder


@pytest.mark.parametrize(
    ("stand_in", "safe", "kept"), [("Bare", "{out: 0, voltage: 0}", {"voltage": 0}), ("Based", "{out: 0}", None)]
)
def test_what_a_stand_in_lacks_is_left_out(lacking, stand_in, safe, kept):
    """An attribute that only __init__ sets is kept, though the class does not tell of it."""
    text = LACKING.format(stand_in=f"stand_ins.{stand_in}", safe=safe)
    found = lab(lacking, text, inspect=True, simulated=True)
    spec = spec_of(found, "psu")
    assert spec.parameters == {"voltage": {"max": 5}, "level": {"max": 2}}
    assert (spec.poll, spec.safe) == ({"level": 2}, kept)
    assert dry_run_lines(found) == ["psu: its stand-in has no 'out': what the file says of it is left out"]
    keys = [f"instruments.psu.{key}.out" for key in ("parameters", "poll", "safe")]
    lacked = f"the stand-in stand_ins:{stand_in} has no 'out', so this is left out"
    for notes in (found.notes, lab(lacking, text, inspect=True).notes):  # in time: before anybody starts a dry run
        assert [note.key for note in notes if lacked in note.text] == keys
    real = lab(lacking, text, inspect=True)
    assert spec_of(real, "psu").parameters["out"] == {"max": 3} and dry_run_lines(real) == []


def test_what_a_stand_in_may_have_is_kept(lacking):
    found = lab(lacking, LACKING.format(stand_in="stand_ins.Loose", safe="'out()'"), inspect=True, simulated=True)
    spec = spec_of(found, "psu")
    assert spec.parameters["out"] == {"max": 3} and spec.poll == {"out": 1, "level": 2} and spec.safe == "out()"


def test_actions_that_a_stand_in_lacks(lacking):
    (lacking / "psu.yml").write_text(TABLE + "  out: {write: 'OUT'}\n  zero: {write: 'ZERO'}\n")
    text = """
    instruments:
      psu: {driver: "agentlab.instruments:ScpiDevice", address: GPIB::1, kwargs: {parameters: psu.yml}, safe: [out, off, safe],
            simulated: {driver: "agentlab.instruments:ScpiDevice", address: GPIB::1, parameters: oven.yml}}
    """
    assert spec_of(lab(lacking, text, inspect=True, simulated=True), "psu").safe == ["off", "safe"]


# --- what is wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("instruments: {psu: {}}", "instruments.psu.driver: is missing; allowed are text"),
        ("instruments: {psu: {driver: Supply}}", "instruments.psu.driver: 'Supply' names no class; write package.module:Class"),
        ("instruments: {psu: {driver: m.C, addres: COM3}}", "instruments.psu.addres: found an unknown key"),
        ("instruments: {psu: {driver: m.C, poll: 0}}", "instruments.psu.poll: found 0, allowed are numbers greater than 0"),
        ("instruments: {psu: {driver: m.C, poll: {x: -1}}}", "instruments.psu.poll.x: found -1"),
        ("instruments: {psu: {driver: m.C, owner: {on_lost: safee}}}", "owner.on_lost: found 'safee', allowed are keep, safe"),
        ("instruments: {psu: {driver: m.C, safe: true}}", "instruments.psu.safe: found true, allowed are"),
        ("instruments: {psu: {driver: m.C, parameters: {x: {minimum: 1}}}}", "parameters.x.minimum: found an unknown key"),
        ("instruments: {psu: {driver: m.C, simulated: Toy}}", "instruments.psu.simulated.driver: 'Toy' names no class"),
        ("instruments: {psu: {driver: m.C, parameters: no.yml}}", "psu.parameters: found 'no.yml', but there is no such file"),
        ("instruments: {psu: {driver: m.C, after: [x]}}", "found 'x', but there is no such agent, instrument, service or daemon"),
        ("instruments: {psu: {driver: m.C, after: [psu]}}", "waits for itself: psu -> psu"),
        ("instruments: {a: {driver: m.C}}\nagents: {a: {class: m.C}}", "has the name 'a' too"),
        ("instruments: {a: {driver: m.C, addr: 'x:9090'}, b: {driver: m.C, addr: 'x:9090'}}", "listens on x:9090 too"),
        ("autolaunch: {instruments: [x]}", "autolaunch.instruments[0]: found 'x', but there is no such instrument"),
        ("simulated: perhaps", "simulated: found 'perhaps', allowed are true and false"),
        ("interlocks: a.x > 1 -> b.safe()", "interlocks: found 'a.x > 1 -> b.safe()', allowed is a list"),
        ("interlocks: [[a, 1]]", "interlocks[0]: found a list, allowed is text, such as"),
        ("interlocks: [a.x > 1]", "interlocks[0]: interlock 'a.x > 1': at character 8 there should be an arrow"),
        ("interlocks: [a.x > 5 flurbs -> b.safe()]", "flurbs"),
        (
            "instruments: {b: {driver: m.C}}\ninterlocks: [bb.x > 1 -> b.safe()]",
            "interlocks[0]: found 'bb' in 'bb.x > 1 -> b.safe()', but there is no such instrument; did you mean 'b'?",
        ),
        (
            "agents: {A: {class: m.C}}\ninstruments: {b: {driver: m.C}}\ninterlocks: [A.x > 1 -> b.safe()]",
            "no such instrument: it is one of the agents",
        ),
        (
            "instruments: {b: {driver: m.C}}\nwires: [b.reading -> b.x]",
            "found 'b' in 'b.reading -> b.x', but there is no such agent: it is an instrument, where wires only begin, as b.re",
        ),
    ],
)
def test_what_cannot_be(tmp_path, text, said):
    if "flurbs" in text:
        text = "instruments: {a: {driver: m.C, poll: 1, parameters: {x: {unit: K}}}, b: {driver: m.C}}\n" + text
    assert said in one_problem(tmp_path, text)


def test_a_wire_begins_at_readings(folder):
    text = "agents: {{A: {{class: drivers.Listener}}}}\ninstruments: {{b: {{driver: drivers.Toy}}}}\nwires: [{wire}]"
    assert problems(folder, text.format(wire="b.readings -> A.on_x"), inspect=True) == []
    assert "nobody says what kind of socket b.reading is; did you mean 'readings'?" in one_problem(
        folder, text.format(wire="b.reading -> A.on_x"), inspect=True
    )
    assert "has no method 'on_y'" in one_problem(folder, text.format(wire="b.readings -> A.on_y"), inspect=True)


# --- what the drivers say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "psu: {driver: drivers.Suply, address: x}",
            "psu.driver: drivers:Suply cannot be found: module drivers has no class 'Suply'",
        ),
        (
            "psu: {driver: driver.Supply, address: x}",
            "psu.driver: driver:Supply cannot be imported: no module is called 'driver'",
        ),
        (
            "psu: {driver: drivers.Supply}",
            "psu.driver: Supply(port, speed=9600) cannot be built: missing a required",
        ),
        (
            "psu: {driver: drivers.Supply, address: x, kwargs: {sped: 1}}",
            "kwargs.sped: drivers:Supply has no argument 'sped'; did",
        ),
        (
            "a: {driver: 'agentlab.instruments:ScpiDevice', address: GPIB::1, parameters: oven.yml, poll: {temprature: 1}}",
            "instruments.a.poll.temprature: agentlab.instruments:ScpiDevice has no 'temprature'; did you mean 'temperature'?",
        ),
    ],
)
def test_drivers_are_looked_at(folder, text, said):
    assert said in one_problem(folder, f"instruments: {{{text}}}", inspect=True)


def test_a_missing_library_names_its_extra(folder):
    (folder / "pymeasure.py").write_text("raise ModuleNotFoundError(\"No module named 'pymeasure'\", name='pymeasure')")
    said = one_problem(folder, "instruments: {dmm: {driver: pymeasure.Dmm}}", inspect=True)
    assert 'pip install "agentlab[pymeasure]"' in said and "instruments.dmm.driver" in said


def test_a_module_that_ends_the_program_or_raises_harms_nobody(folder):
    (folder / "leaves.py").write_text("import sys; sys.exit(3)")
    (folder / "raises.py").write_text("x = 1\nraise ValueError('no licence')")
    found = problems(
        folder, "instruments: {a: {driver: leaves.A}, b: {driver: raises.B}, c: {driver: drivers.Toy}}", inspect=True
    )
    assert len(found) == 2 and "ends the program" in found[0] and "ValueError: no licence (raises.py, line 2)" in found[1]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("oven.temperature > 320 K -> psu.safe()", None),
        ("oven.temperature > 50 degC -> psu.voltage = 0 V", None),
        (
            "oven.temperature > 320 V -> psu.safe()",
            "found V, but oven.temperature is measured in K; give the threshold in",
        ),
        ("oven.temprature > 320 K -> psu.safe()", "oven has no parameter 'temprature'; did you mean 'temperature'?"),
        ("oven.temperature > 3 K -> psu.voltage = 31 V", "psu.voltage = 31 V is out of limits; it takes 0 to 30 V"),
        ("oven.temperature > 3 K -> oven.of()", "oven has no action 'of'; did you mean 'off'?"),
        ("oven.temperature > 3 K -> psu.whatever()", "psu has no action 'whatever'"),
    ],
)
def test_interlocks_are_compared_with_the_drivers(folder, rule, said):
    text = f"""
    interlocks: ["{rule}"]
    instruments:
      psu: {{driver: drivers.Supply, address: x}}
      oven: {{driver: "agentlab.instruments:ScpiDevice", address: GPIB::1, parameters: oven.yml, poll: {{temperature: 1}}}}
    """
    found = problems(folder, text, inspect=True)
    assert found == [] if said is None else len(found) == 1 and said in found[0]


@pytest.mark.parametrize(
    ("source", "well"),
    [
        ("driver: drivers.Toy", False),
        ("driver: drivers.Toy, poll: {other: 1}", False),
        ("driver: drivers.Toy, poll: 1", True),
        ("driver: drivers.Toy, poll: {voltage: 1}", True),
        ("driver: drivers.Toy, parameters: {voltage: {poll: 1}}", True),
        ("driver: 'agentlab.instruments:ScpiDevice', address: GPIB::1, parameters: polled.yml", True),
    ],
)
def test_what_a_rule_looks_at_must_be_polled(folder, source, well):
    (folder / "polled.yml").write_text('voltage: {get: "V?", type: float, unit: V, poll: 1}\n')
    text = f"instruments: {{a: {{{source}}}, b: {{driver: drivers.Toy}}}}\ninterlocks: [a.voltage > 1 V -> b.safe()]"
    found = problems(folder, text, inspect=True)
    said = "a.voltage is not polled, and without readings the rule would make everything safe at once; give a poll: {voltage: 1}"
    assert found == [] if well else len(found) == 1 and said in found[0]
    assert problems(folder, text) == []  # where nobody looks at drivers, nobody knows


def test_included_instruments_have_their_tables_beside_them(folder):
    (folder / "more").mkdir()
    (folder / "more" / "psu.yml").write_text(TABLE)
    write(folder, "instruments: {oven: {driver: m.C, parameters: psu.yml, history: true, history_days: 90}}", "more/part.yml")
    oven = spec_of(lab(folder, "include: [more/part.yml]"), "oven")
    assert oven.kwargs["parameters"] == str(folder / "more" / "psu.yml") and oven.history == str(folder / "history.sqlite")
    assert oven.history_days == 90


def test_what_a_class_does_not_tell_is_noted(folder):
    found = lab(folder, "instruments: {psu: {driver: drivers.Toy, parameters: {voltag: {max: 1}}}}", inspect=True)
    (note,) = found.notes
    assert note.key == "instruments.psu.parameters.voltag" and "though an instance may; did you mean 'voltage'?" in note.text


def test_notes_are_told_beside_problems(folder):
    text = """
    instruments:
      psu: {driver: drivers.Toy, parameters: {voltag: {max: 1}}, poll: {voltage: soon}}
      old: {driver: drivers.Toy, safe: swich_off, host: nowhere.invalid}
      bad: {driver: 5, simulated: drivers.Toy, pol: 1}
    daemons: {spare: {}}
    """
    looked = look_at_lab(write(folder, text))
    assert looked.lab is None
    assert [one.key for one in looked.problems] == [
        "instruments.psu.poll.voltage",
        "instruments.bad.driver",
        "instruments.bad.pol",
    ]
    assert [one.key for one in looked.notes] == [
        "instruments.psu.parameters.voltag",
        "instruments.old.safe",
        "instruments.old.host",
    ]
    well = look_at_lab(write(folder, "instruments: {old: {driver: drivers.Toy, safe: swich_off}}"))
    assert well.lab is not None and well.problems == () and [one.key for one in well.notes] == ["instruments.old.safe"]
    assert look_at_lab(folder / "none.yml").notes == ()


def test_nobodys_home_is_no_place_and_no_traceback(folder):
    text = "instruments: {psu: {driver: m.C, parameters: ~nobody-is-called-so/oven.yml, history: ~nobody-is-called-so/x.sqlite}}"
    assert "found '~nobody-is-called-so/oven.yml', but there is no such file" in one_problem(folder, text)


def test_a_stand_ins_table_that_is_wrong_is_noted(folder):
    (folder / "oven.yml").write_text('temperature: {get: "T?", typ: float}\n')
    stand_in = "{driver: 'agentlab.instruments:ScpiDevice', address: GPIB::1, parameters: oven.yml}"
    found = lab(folder, f"instruments: {{oven: {{driver: drivers.Toy, simulated: {stand_in}}}}}", inspect=True)
    (note,) = found.notes
    assert note.key == "instruments.oven.simulated.parameters" and "the stand-in's table is wrong: " in note.text
    assert "oven.yml:1:" in note.text


def test_a_table_that_is_wrong_is_told_with_its_place(folder):
    (folder / "oven.yml").write_text('temperature: {get: "T?", typ: float}\n')
    text = "instruments: {oven: {driver: 'agentlab.instruments:ScpiDevice', address: GPIB::1, parameters: oven.yml}}"
    assert "oven.yml:1:" in one_problem(folder, text, inspect=True)


# --- renaming, schema ---------------------------------------------------------------------------------------------


def test_an_instrument_is_renamed_everywhere(folder):
    path = write(
        folder,
        """
        agents: {Scan: {class: m.C, after: [psu, instrument/psu]}}
        instruments:
          psu: {driver: drivers.Supply, address: psu, poll: 1}
          psu-2: {driver: drivers.Supply, address: psu}
        groups: {g: {members: [psu]}}
        autolaunch: {instruments: [psu]}
        wires: [psu.readings -> Scan.on_psu]
        interlocks:
          - psu.voltage > 3 V and psu.psu < 1 -> psu-2.safe()  # psu
          - "psu.voltage > 4 V -> psu.safe()"
        """,
    )
    plan_renaming(path, "psu", "supply").write()
    assert path.read_text() == write(folder, path.read_text(), "other.yml").read_text()
    text = path.read_text()
    assert "after: [supply, instrument/supply]" in text and "supply: {driver: drivers.Supply, address: psu" in text
    assert "[supply.readings -> Scan.on_psu]" in text and "members: [supply]" in text and "instruments: [supply]" in text
    assert "- supply.voltage > 3 V and supply.psu < 1 -> psu-2.safe()  # psu" in text
    assert '"supply.voltage > 4 V -> supply.safe()"' in text
    assert complaints(path) == []


def test_a_rule_over_two_lines_is_renamed_by_hand(folder):
    path = write(
        folder,
        """
        instruments: {psu: {driver: m.C, poll: 1}}
        interlocks:
          - psu.voltage > 3 V
            -> psu.safe()
        """,
    )
    with pytest.raises(ConfigurationError, match="not spelt out"):
        plan_renaming(path, "psu", "supply")


def test_editors_know_instruments():
    schema = lab_schema()
    assert {"instruments", "interlocks", "simulated"} <= set(schema["properties"])
    assert {"driver", "owner", "simulated", "restart"} <= set(schema["$defs"]["InstrumentModel"]["properties"])
    json.dumps(schema)


def test_reading_a_lab_imports_no_driver_here(folder):
    before = set(sys.modules)
    read_lab(write(folder, "instruments: {psu: {driver: drivers.Toy}}"))
    assert "drivers" not in set(sys.modules) - before
