"""What a hostile user writes about instruments: a line for each mistake, at its place, before anything starts."""

import pytest

from tests.lab.written import lab, problems

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

    @property
    def serial(self) -> str: ...

    def calibrate(self): ...

    def safe(self): ...


class Listener(Agent): ...
"""
TABLE = 'temperature: {get: "T?", type: float, unit: K}\npower: {set: "P {:g}", type: float, unit: W, min: 0, max: 5}\n'

MISTAKES = [
    # what is said of parameters
    ("parameters: {voltage: {max: five}}", "parameters.voltage: max of 'voltage': 'five'"),
    ("parameters: {voltage: {max: 5 A}}", "parameters.voltage: max of 'voltage': 'A' cannot be converted into 'V'"),
    ("parameters: {voltage: {min: 5, max: 1}}", "parameters.voltage: parameter 'voltage' has minimum 5 above its maximum 1"),
    ("parameters: {voltage: {unit: flurbs}}", "parameters.voltage: unit of 'voltage': 'flurbs' is no unit"),
    ("parameters: {voltage: {step: -1}}", "parameters.voltage: parameter 'voltage' has step -1"),
    ("parameters: {voltage: {choices: [a, 1]}}", "parameters.voltage: 'voltage' has the choice 'a', which is no float"),
    ("parameters: {voltage: {readable: false, poll: 1}}", "parameters.voltage: 'voltage' is to be polled, and it cannot be read"),
    ("parameters: {voltage: {reads: true}}", "parameters.voltage: the override of 'voltage' has key 'reads'"),
    ("parameters: {calibrate: {max: 1}}", "parameters.calibrate: the override of 'calibrate' has key 'max'"),
    ("parameters: {voltag: {max: 5 flurb}}", "parameters.voltag: max of 'voltag': "),
    ("parameters: {voltage: {max: .nan}}", "parameters.voltage.max: found nan (not finite), allowed are numbers, text or null"),
    ("parameters: {voltage: {step: .inf}}", "parameters.voltage.step: found inf (not finite), allowed are numbers, text or null"),
    # polling
    ("poll: {calibrate: 1}", "poll.calibrate: 'calibrate' is to be polled, which the driver does not have"),
    ("poll: 1e9", "poll of 'psu' is 1000000000.0; give seconds above 0 and below 1e+09"),
    ("poll: {voltage: soon}", "poll.voltage: found 'soon', allowed are numbers greater than 0"),
    # the safe state
    ("safe: {voltage: 40}", "safe.voltage: voltage = 40 V is out of limits; it takes 0 to 30 V"),
    ("safe: {voltage: 0 A}", "safe.voltage: voltage: 'A' cannot be converted into 'V'"),
    ("safe: {voltage: zero}", "safe.voltage: voltage takes a number, not 'zero'"),
    ("safe: {serial: x}", "safe.serial: serial cannot be set"),
    ("safe: {calibrate: 1}", "safe.calibrate: 'calibrate' is an action, no parameter; call it"),
    ("safe: voltage", "safe: 'voltage' is a parameter, no action; read or set it"),
    ("safe: [calibrate, serial]", "safe[1]: 'serial' is a parameter, no action"),
    # the rest
    ("address: ''", "address: found ''"),
    ("history: ~nobody-is-called-so/x.sqlite, poll: {calibrate: 1}", "poll.calibrate: 'calibrate' is to be polled"),
    ("history: .", "history: found '.', which is a directory; give a file"),
    ("history: ture", "history: found 'ture'; did you mean true? A file of that name is written ./ture"),
    ("history: 'Flase'", "history: found 'Flase'; did you mean false?"),
    ("history: 'yes'", "history: found 'yes'; did you mean true?"),
    ("history: 'No'", "history: found 'No'; did you mean false?"),
    ("driver: drivers.Listener", "driver: drivers:Listener is an agent, which holds no device; put it under agents"),
    ("args: [1, 2, 3]", "driver: Supply(port, speed=9600) cannot be built: too many positional arguments"),
    ("args: {a: 1}", "args: found a mapping, allowed are a list"),
    ("kwargs: {port: COM4}", "driver: Supply(port, speed=9600) cannot be built: multiple values"),
    ("kwargs: {1: 2}", "kwargs[1]: found the key 1, allowed are keys of text"),
    ("watchdog: -3", "watchdog: found -3, allowed are numbers greater than 0 or null"),
    ("owner: {lease: .inf}", "owner.lease: found inf (not finite), allowed are numbers greater than 0"),
    ("driver: drivers:nothing", "driver: drivers:nothing cannot be found: module drivers has no class 'nothing'"),
    ("driver: os.path:join", "driver: os.path:join is no class: os.path:join is a function"),
    ("driver: '../drivers:Supply'", "driver: '../drivers:Supply' names no class"),
    ("driver: 'qcodes.nothere:X'", 'pip install "agentlab[qcodes]"'),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "drivers.py").write_text(DRIVERS)
    (tmp_path / "oven.yml").write_text(TABLE)
    return tmp_path


def instrument(name, said):
    defaults = {"driver": "drivers.Supply", "address": "COM3"}
    given = "".join(f"{key}: {value}, " for key, value in defaults.items() if not said.startswith(key))
    return f"  {name}: {{{given}{said}}}"


def test_each_mistake_is_one_line_at_its_place(folder):
    names = [f"psu{number}" for number in range(len(MISTAKES))]
    text = "\n".join(["instruments:", *(instrument(name, said) for name, (said, _) in zip(names, MISTAKES, strict=True))])
    found = problems(folder, text, inspect=True)
    for line, (name, (_, said)) in enumerate(zip(names, MISTAKES, strict=True), 2):
        told = [one for one in found if one.startswith(f"{line}:")]
        assert len(told) == 1 and f"instruments.{name}" in told[0] and "\n" not in told[0]
        assert said.replace("'psu'", f"'{name}'") in told[0]
    assert len(found) == len(MISTAKES)


def test_what_contradicts_itself_is_told_without_a_look_at_drivers(tmp_path):
    said = ["{max: five}", "{min: 5 mV, max: 1 mV}", "{min: 1 V, max: 1 K}", "{unit: flurbs}", "{step: -1 K}"]
    text = "instruments:\n" + "\n".join(f"  p{i}: {{driver: m.C, parameters: {{x: {one}}}}}" for i, one in enumerate(said))
    found = problems(tmp_path, text)
    assert [one.split(":")[0] for one in found] == ["2", "3", "4", "5", "6"]
    assert problems(tmp_path, "instruments: {p: {driver: m.C, parameters: {x: {min: 1 mV, max: 2 V, step: 0.1}}}}") == []


def test_what_an_instance_may_have_is_noted(folder):
    text = """
    instruments:
      psu: {driver: drivers.Supply, address: x, poll: {volt: 1}, safe: {curent: 0}, parameters: {channel: {max: 3}}}
      old: {driver: drivers.Supply, address: y, safe: [park, safe, calibrate()]}
    """
    notes = {note.key: note.text for note in lab(folder, text, inspect=True).notes}
    assert set(notes) == {
        "instruments.psu.poll.volt",
        "instruments.psu.safe.curent",
        "instruments.psu.parameters.channel",
        "instruments.old.safe[0]",
    }
    assert "tells of no 'park', though an instance may" in notes["instruments.old.safe[0]"]


def test_of_a_table_all_is_known(folder):
    text = """
    instruments:
      oven: {driver: "agentlab.instruments:ScpiDevice", address: GPIB::1, parameters: oven.yml,
             poll: {temprature: 1, power: 1}, safe: {pover: 0}}
    """
    assert [one.partition("instruments.")[2].partition(";")[0] for one in problems(folder, text, inspect=True)] == [
        "oven.poll.temprature: agentlab.instruments:ScpiDevice has no 'temprature'",
        "oven.poll.power: 'power' is to be polled, and it cannot be read",
        "oven.safe.pover: agentlab.instruments:ScpiDevice has no 'pover'",
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("x: {set: 'X {:q}', type: float}", ["oven.yml:1:5: x.set: a value such as 1.5 does not fit"]),
        ("x: {get: 'X?', unit: flurb}\ny: {get: 5}", ["oven.yml:1:16: x.unit: 'flurb' is no unit", "oven.yml:2:"]),
        ("x: {get: 'X?'}\nx: {get: 'Y?'}", ["oven.yml:2:1: x: found twice, first in line 1"]),
        ("", ["oven.yml:1:1: the file is empty"]),
        (None, ["lab.yml:1:"]),
    ],
)
def test_a_wrong_table_is_told_once_with_places_in_it(folder, table, said):
    (folder / "oven.yml").unlink() if table is None else (folder / "oven.yml").write_text(table)
    one = "{driver: 'agentlab.instruments:ScpiDevice', address: GPIB::1, parameters: oven.yml}"
    text = f"instruments: {{a: {one}}}" if table is None else f"instruments: {{a: {one}, b: {one}}}"
    path = folder / "lab.yml"
    path.write_text(text)
    found = complaints_with_file(path)
    assert all(any(line.startswith(part) for line in found) for part in said)
    assert table is not None or (len(found) == 1 and "parameters: found 'oven.yml', but there is no such file" in found[0])
    assert {line.partition(":")[0] for line in found} == {said[0].partition(":")[0]}


def complaints_with_file(path):
    from agentlab.lab.file import read_lab
    from agentlab.yamlfile.problems import ProblemsError

    with pytest.raises(ProblemsError) as told:
        read_lab(path, inspect=True)
    return [str(problem).replace(f"{path.parent}/", "") for problem in told.value.problems]


RULES = [
    ("oven.temperature == hot -> psu.safe()", "found 'hot', but oven.temperature is a number"),
    ("oven.temperature == true -> psu.safe()", "found True, but oven.temperature is a number"),
    ("psu.serial == 5 -> psu.safe()", "found 5.0, but psu.serial is a text"),
    ("oven.temperature > 5 K -> psu.voltage = 7", "psu.voltage = 7 V is out of limits; it takes 0 to 5 V"),
    ("oven.temperature > 5 K -> psu.voltage = nan", "psu.voltage takes a number, not 'nan'"),
    ("oven.temperature > 5 K -> psu.voltage = 1 A", "psu.voltage: 'A' cannot be converted into 'V'"),
    ("oven.temperature > 5 K -> oven.park()", "oven has no action 'park'"),
    ("oven.temperature > 5 K -> psu.safee()", "psu has no action 'safee'; did you mean 'safe'?"),
    ("oven.temperature > 5 K -> psu.voltage()", "psu has no action 'voltage'"),
    ("oven.temperature > 5 K and -> psu.safe()", "at character 28 there should be an instrument and its parameter"),
    ("oven.temperature > nan K -> psu.safe()", "there should be a number with a unit"),
    ("oven.temperature > 5 K -> psu.safe() -> oven.safe()", "there should be '()' after an action"),
]


def test_rules_that_can_never_be_compared_or_carried_out(folder):
    text = "\n".join(
        [
            "instruments:",
            "  psu: {driver: drivers.Supply, address: x, poll: 1, parameters: {voltage: {max: 5}}}",
            "  oven: {driver: 'agentlab.instruments:ScpiDevice', address: GPIB::1, parameters: oven.yml, poll: {temperature: 1}}",
            "interlocks:",
            *(f'  - "{rule}"' for rule, _ in RULES),
            '  - "psu.voltage > 3 V -> psu.safe()"',  # its own reading
            '  - "oven.temperature > 5 K -> oven.safe()"',
        ]
    )
    found = problems(folder, text, inspect=True)
    assert len(found) == len(RULES)
    for line, (told, (_, said)) in enumerate(zip(found, RULES, strict=True), 5):
        assert told.startswith(f"{line}:") and said in told and "nothing was sent" not in told


def test_a_name_that_is_none_is_told_once(folder):
    (told,) = problems(folder, "instruments: {'': {driver: drivers.Supply, address: x}}", inspect=True)
    assert "found '', which cannot be a name" in told


def test_what_a_class_makes_of_names_by_itself_is_not_judged(folder):
    (folder / "drivers.py").write_text(
        "class Any:\n    def __getattr__(self, name): ...\nclass Late:\n    def __init__(self): self.park = print\n"
    )
    text = """
    instruments: {any: {driver: drivers.Any, poll: 1}, late: {driver: drivers.Late}}
    interlocks: ["any.heat > 3 -> any.stop()", "any.heat > 3 -> late.park()"]
    """
    assert problems(folder, text, inspect=True) == []


@pytest.mark.parametrize("history", ["readings", "./ture", "true.sqlite", "data/on", "notes", "one"])
def test_what_can_be_meant_as_the_file_of_a_history_is_one(tmp_path, history):
    assert problems(tmp_path, f"instruments: {{psu: {{driver: m.C, history: {history!r}}}}}") == []


@pytest.mark.parametrize(
    ("address", "more", "meant"),
    [
        ("TCPIP:127.0.0.1:47802", "", "TCPIP::192.0.2.7::5025::SOCKET"),
        ("127.0.0.1:47802", "", "TCPIP::127.0.0.1::47802::SOCKET"),
        ("COM3", "", "ASRL3::INSTR"),
        ("bench", ", kwargs: {visa_library: '@ivi'}", None),  # a name that the vendor's library may know
        ("TCPIP::192.0.2.7::5025::SOCKET", "", None),
        ("ASRL/dev/ttyUSB0::INSTR", "", None),
    ],
)
def test_an_address_that_can_be_none_is_told_before_anything_starts(folder, address, more, meant):
    one = f"{{driver: 'agentlab.instruments:ScpiDevice', address: '{address}', parameters: oven.yml{more}}}"
    found = problems(folder, f"instruments: {{oven: {one}}}", inspect=True)
    if meant is None:
        assert found == []
    else:
        (told,) = found
        assert f"oven.address: {address!r} is no address of a device; write as {meant!r}" in told


def test_two_instruments_at_one_device_are_noted(tmp_path):
    text = """
    instruments:
      pump: {driver: m.C, address: COM3}
      pump2: {driver: m.D, address: com3, parameters: {x: {max: 1}}}
      there: {driver: m.C, address: COM3, host: lab2}
      slave: {driver: m.C, address: COM3, kwargs: {number: 2}}
      alone: {driver: m.C}
      lonely: {driver: m.C}
      dry: {driver: m.C, address: COM3, simulated: m.S}
    """
    assert {n.key: n.text.partition(" at ")[0] for n in lab(tmp_path, text).notes if n.key.endswith("address")} == {
        f"instruments.{name}.address": "is the address of pump" for name in ("pump2", "dry")
    }
    notes = [note.key for note in lab(tmp_path, text, simulated=True).notes if note.key.endswith("address")]
    assert notes == ["instruments.pump2.address"]
