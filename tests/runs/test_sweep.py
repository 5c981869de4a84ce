"""Scans with instruments that are none: what is set and read in which order, how they end, how they go on."""

import io
import itertools
import math
import re
from decimal import Decimal

import numpy as np
import pytest
from rich.console import Console

from agentlab.errors import ConfigurationError, LimitError, OfflineError, RunError, UnitError
from agentlab.instruments import Parameter
from agentlab.runs import Run, RunStore, progress, sweep
from tests.runs.fakes import FakeHandle, FakeInstrument, FakeReading


@pytest.fixture
def psu():
    return FakeInstrument()


def test_a_scan_sets_reads_and_keeps(psu):
    voltage = psu["voltage"]
    run = sweep(voltage, np.linspace(0, 2, 5), reads=[psu["current"], lambda: psu.values["voltage"] ** 2], name="iv", timeout=3)
    assert isinstance(run, Run)
    assert voltage.puts == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert voltage.limits == [3] * 5
    assert [column.label for column in run.columns] == ["time (s)", "psu.voltage (V)", "psu.current (V)", "y2"]
    assert run.data["psu.voltage"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert run.data["y2"].tolist() == [0.0, 0.25, 1.0, 2.25, 4.0]
    assert run.state == "done"
    assert psu.snapshots == 1
    assert run.snapshot["psu"]["current"] == {"value": 0.25, "unit": "V", "timestamp": 1.5, "quality": "good"}
    assert RunStore().run("iv").id == run.id


@pytest.mark.parametrize(("snake", "inner"), [(False, [1, 2, 3, 1, 2, 3]), (True, [1, 2, 3, 3, 2, 1])], ids=["raster", "snake"])
def test_the_first_axis_is_the_outermost_and_moves_only_when_it_must(psu, snake, inner):
    outer, target = FakeHandle(FakeInstrument("a"), "x"), FakeHandle(psu, "voltage")
    run = sweep((outer, [10, 20]), (target, [1, 2, 3]), reads=[psu["current"]], snake=snake)
    assert outer.puts == [10, 20]
    assert run.data["psu.voltage"].tolist() == inner
    assert target.puts == ([1, 2, 3, 2, 1] if snake else inner)
    assert run.info.shape == (2, 3)


def test_preparing_a_scan_asks_no_device(psu):
    target, reader = psu["voltage"], psu["current"]
    with pytest.raises(ConfigurationError, match="no column"):
        sweep(target, [1], reads=[reader], until="x > 1")
    assert (target.gets, target.puts, reader.gets) == (0, [], 0)
    sweep(target, [1, 2], reads=[reader])
    assert (target.gets, target.puts, reader.gets) == (0, [1, 2], 2)


def test_several_parameters_that_are_read_together_keep_their_paths(psu):
    class Readable:
        name, proxy, handles = "psu", psu, (psu["voltage"], psu["current"])

        def describe(self):
            return {"psu_voltage": {"units": "V"}, "psu_current": {"units": "A"}}

        def read(self):
            return {"psu_voltage": {"value": 1.0}, "psu_current": {"value": 2.0}}

    run = sweep(None, [0], reads=[Readable()])
    assert [column.label for column in run.info.readings] == ["psu.voltage (V)", "psu.current (A)"]
    assert list(run.snapshot) == ["psu"]


def test_values_that_repeat_are_set_again(psu):
    voltage = psu["voltage"]
    sweep(voltage, [1, 1, 1], reads=psu["current"], snapshot=False)
    assert voltage.puts == [1, 1, 1]
    assert psu.snapshots == 0


def test_functions_and_nothing_can_be_targets():
    seen = []
    run = sweep(seen.append, range(3), reads=lambda: len(seen))
    assert run.data["append"].tolist() == [0, 1, 2]
    assert run.data["y1"].tolist() == [1, 2, 3]
    assert sweep(None, range(3), reads=lambda: 7).data["point"].tolist() == [0, 1, 2]


def test_names_are_made_unique(psu):
    run = sweep(psu["voltage"], [1, 2], reads=[psu["voltage"], psu["current"], psu["current"], lambda: 0, lambda: 1])
    names = [column.name for column in run.columns]
    assert names == ["time", "psu.voltage", "psu.voltage_read", "psu.current", "psu.current_2", "y4", "y5"]


def test_devices_as_bluesky_has_them():
    class Detector:
        parent = None
        name = "det"

        def describe(self):
            return {"det_a": {"units": "counts"}, "det_b": {}}

        def read(self):
            return {"det_a": {"value": 3, "timestamp": 0}, "det_b": {"value": "up", "timestamp": 0}}

    class Status:
        waited = 0

        def wait(self, timeout=None):
            Status.waited += 1

    class Motor:
        name = "motor"

        def set(self, value):
            return Status()

    run = sweep(Motor(), [1, 2], reads=[Detector()])
    assert Status.waited == 2
    assert [column.label for column in run.info.readings] == ["det_a (counts)", "det_b"]
    assert run.data["det_b"].tolist() == ["up", "up"]


def test_a_device_that_gives_nothing_is_read_all_the_same(psu):
    class Nothing:
        name = "nothing"

        def describe(self):
            return {}

        read = describe

    assert len(sweep(None, [0, 1], reads=[psu["current"], Nothing()])) == 2


def test_a_reading_that_is_not_good_is_remarked():
    class Stale:
        name, unit = "t.kelvin", "K"

        def get(self):
            return FakeReading(4.2, quality="stale")

    run = sweep(None, [0], reads=[Stale()])
    assert run.data["t.kelvin"].tolist() == [4.2]
    assert run.remarks == [(0, "t.kelvin", "stale")]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (
            lambda p: ((1.5, [1]), {"reads": p["voltage"]}),
            TypeError,
            r'the target is 1.5, which cannot be set; .*dac\["voltage"\]',
        ),
        (lambda p: ((np.float64(1.5), [1]), {"reads": p["voltage"]}), TypeError, "which cannot be set"),
        (lambda p: (("psu.voltage", [1]), {"reads": p["voltage"]}), TypeError, "'psu.voltage', which cannot be set"),
        (lambda p: ((FakeReading(1.5), [1]), {"reads": p["voltage"]}), TypeError, "which cannot be set"),
        (lambda p: ((p["voltage"], [1]), {"reads": [0.25]}), TypeError, "a reader is 0.25, which can be read only once"),
        (lambda p: ((p["voltage"], [1]), {"reads": [np.array([1])]}), TypeError, "which can be read only once"),
        (lambda p: ((p["voltage"], [1]), {"reads": [None]}), TypeError, "a reader is None, which cannot be read"),
        (lambda p: ((p["voltage"], [1]), {"reads": []}), ConfigurationError, "without readers measures nothing"),
        (lambda p: ((p["voltage"], []), {"reads": p["voltage"]}), ConfigurationError, "psu.voltage has no values"),
        (lambda p: ((p["voltage"], 5), {"reads": p["voltage"]}), ConfigurationError, "values of psu.voltage are 5"),
        (lambda p: ((p["voltage"], "123"), {"reads": p["voltage"]}), ConfigurationError, "give a list, a range"),
        (lambda p: ((p["voltage"],), {"reads": p["voltage"]}), ConfigurationError, "takes a target and its values"),
        (lambda p: ((p["voltage"], [1], p["current"]), {"reads": p["voltage"]}), ConfigurationError, "these were 3"),
        (lambda p: ((), {"reads": p["voltage"]}), ConfigurationError, "these were 0"),
        (lambda p: ((p["voltage"], [1]), {"reads": p["voltage"], "until": "x > 1"}), ConfigurationError, "no column 'x'"),
        (
            lambda p: ((p["voltage"], [1]), {"reads": p["voltage"], "on_error": "ignore"}),
            ConfigurationError,
            "'stop', 'nan', 'wait'",
        ),
        (lambda p: ((p["voltage"], [1]), {"reads": p["voltage"], "resume": 7}), RunError, "no run 7"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_set(psu, store, arguments, error, says):
    psu.values["voltage"] = "untouched"
    args, options = arguments(psu)
    with pytest.raises(error, match=says):
        sweep(*args, **options)
    assert psu.values["voltage"] == "untouched"
    assert store.runs() == []


def test_endless_values_are_refused(psu, monkeypatch):
    monkeypatch.setattr("agentlab.runs.parts.MOST_POINTS", 1000)
    with pytest.raises(ConfigurationError, match="more than 1000"):
        sweep(psu["voltage"], itertools.count(), reads=psu["current"])


@pytest.mark.parametrize("until", ["psu.voltage >= 2 V", lambda row: row["psu.voltage"] >= 2])
def test_a_condition_ends_a_scan_and_its_row_is_kept(psu, until):
    run = sweep(psu["voltage"], range(100), reads=psu["current"], until=until)
    assert (run.state, len(run)) == ("done", 3)
    assert run.info.reason.startswith("until")


class Failing:
    """A reader that raises at its n-th point, as often as told."""

    name, unit = "dmm.voltage", "V"

    def __init__(self, error, at=3, times=10**6):
        self.error, self.at, self.left, self.count = error, at, times, 0

    def get(self):
        self.count += 1
        if self.count >= self.at and self.left:
            self.left -= 1
            raise self.error
        return FakeReading(1.0)


@pytest.mark.parametrize(("error", "state"), [(ValueError("odd"), "failed"), (KeyboardInterrupt(), "aborted")])
def test_an_error_ends_a_scan_and_its_rows_are_kept(psu, store, error, state):
    with pytest.raises(type(error)) as raised:
        sweep(psu["voltage"], range(10), reads=Failing(error))
    (note,) = raised.value.__notes__
    assert "run 1 in" in note and "has 2 of 10 points; sweep(..., resume=1) goes on" in note
    run = store.run(1)
    assert (run.state, len(run)) == (state, 2)


def test_a_value_that_cannot_be_read_may_be_missing(psu):
    run = sweep(psu["voltage"], range(4), reads=[Failing(OfflineError("dmm is offline"), 2, 2), psu["current"]], on_error="nan")
    values = run.data["dmm.voltage"].tolist()
    assert [math.isnan(value) for value in values] == [False, True, True, False]
    assert run.data["psu.current"].tolist() == [0.25] * 4
    assert run.remarks[0] == (1, "dmm.voltage", "OfflineError: dmm is offline")


def test_a_scan_may_wait_for_a_device_and_sets_all_again(psu, monkeypatch):
    monkeypatch.setattr("agentlab.runs.scan._AGAIN", 0.0)
    outer, voltage = FakeHandle(FakeInstrument("a"), "x"), psu["voltage"]
    run = sweep((outer, [1]), (voltage, [5, 6, 7]), reads=Failing(OfflineError("gone"), 2, 3), on_error="wait")
    assert (run.state, len(run)) == ("done", 3)
    assert voltage.puts == [5, 6, 6, 6, 6, 7]
    assert outer.puts == [1, 1, 1, 1]
    ((row, column, text),) = run.remarks
    assert (row, column) == (1, "dmm.voltage")
    assert re.fullmatch(r"waited \d+\.\d s, from 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d: OfflineError: gone", text)


def test_a_wait_for_what_is_set_is_remarked_beside_what_is_read(psu, monkeypatch):
    monkeypatch.setattr("agentlab.runs.scan._AGAIN", 0.0)
    voltage, errors = psu["voltage"], [OfflineError("gone"), ConnectionError("still")]

    def put(value):
        if value == 2 and errors:
            raise errors.pop(0)

    voltage.put = put
    voltage.get = lambda: FakeReading(1.0, "V", quality="stale")
    run = sweep(voltage, [1, 2], reads=[voltage], on_error="wait")
    assert [(row, column) for row, column, _ in run.remarks] == [
        (0, "psu.voltage_read"),
        (1, "psu.voltage"),
        (1, "psu.voltage_read"),
    ]
    assert run.remarks[1][2].endswith(": OfflineError: gone")


def test_a_wait_and_a_doubtful_value_of_the_same_column_are_both_remarked(monkeypatch):
    monkeypatch.setattr("agentlab.runs.scan._AGAIN", 0.0)
    reader, readings = FakeHandle(FakeInstrument(), "current"), iter([OfflineError("gone"), FakeReading(1.0, quality="overload")])

    def get():
        found = next(readings)
        if isinstance(found, Exception):
            raise found
        return found

    reader.get = get
    ((_, column, text),) = sweep(None, [0], reads=[reader], on_error="wait").remarks
    assert column == "psu.current"
    assert text.startswith("waited ") and text.endswith("OfflineError: gone; overload")


def test_a_scan_that_waits_does_not_wait_for_ever_nor_for_everything(psu, monkeypatch):
    monkeypatch.setattr("agentlab.runs.scan._AGAIN", 0.0)
    with pytest.raises(OfflineError):
        sweep(psu["voltage"], range(4), reads=Failing(OfflineError("gone")), on_error="wait", patience=0.01)
    odd = Failing(ValueError("odd"))
    with pytest.raises(ValueError, match="odd"):
        sweep(psu["voltage"], range(4), reads=odd, on_error="wait")
    assert odd.count == 3


def test_an_instrument_without_a_snapshot_does_not_end_a_scan():
    away, extra = FakeInstrument("away"), FakeInstrument("extra")
    away.is_offline = True
    run = sweep(None, [1], reads=lambda: 1, snapshot=[away, extra])
    assert run.snapshot["away"] == {"error": "OfflineError: away is offline"}
    assert "voltage" in run.snapshot["extra"]


# ------------------------------------------------------------------------------------------------ resume


def interrupted(psu, store, after=4, **options):
    with pytest.raises(KeyboardInterrupt):
        sweep(psu["voltage"], np.linspace(0, 1, 10), reads=Failing(KeyboardInterrupt(), after), **options)
    return store.run("last")


def test_a_scan_goes_on_after_its_last_row(psu, store):
    run = interrupted(psu, store)
    voltage = psu["voltage"]
    again = sweep(voltage, np.linspace(0, 1, 10), reads=Failing(None, 99), resume=run)
    assert again.id == run.id
    assert voltage.puts == pytest.approx(np.linspace(0, 1, 10)[3:])
    assert (again.state, len(again)) == ("done", 10)
    assert again.data["psu.voltage"].tolist() == pytest.approx(np.linspace(0, 1, 10).tolist())
    assert len(again.snapshots) == 2
    done = sweep(voltage, np.linspace(0, 1, 10), reads=Failing(None, 99), resume="last")
    assert done.id == run.id
    assert len(voltage.puts) == 7, "what is done is not done again"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"values": np.linspace(0, 2, 10)}, "the values of psu.voltage were others"),
        ({"values": range(5)}, "the values of psu.voltage were others"),
        ({"target": "current"}, "its axes were"),
        ({"reads": lambda: 1}, "its readers were"),
        ({"snake": True}, "its snake were False"),
    ],
)
def test_another_scan_cannot_go_on_in_its_place(psu, store, change, says):
    run = interrupted(psu, store)
    options = {"snake": change.get("snake", False), "reads": change.get("reads", Failing(None, 99))}
    with pytest.raises(RunError, match=f"run 1 cannot go on: {says}"):
        sweep(psu[change.get("target", "voltage")], change.get("values", np.linspace(0, 1, 10)), resume=run.id, **options)
    assert store.run(1).state == "aborted"


# ------------------------------------------------------------------------------------------------ what is shown


@pytest.fixture
def terminal(monkeypatch):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80, height=40, color_system=None)
    real = progress.display
    monkeypatch.setattr("agentlab.runs.scan.display", lambda *args, **options: real(*args, **options, console=console))
    return shown


def test_a_terminal_shows_bar_plot_and_time(psu, terminal):
    sweep(psu["voltage"], range(20), reads=lambda: psu.values["voltage"] ** 2, name="square", plot=True)
    text = terminal.getvalue()
    assert "square" in text and "20/20" in text and "left" in text
    assert "psu.voltage (V)" in text and "┤" in text


def test_a_bar_is_shown_when_nothing_can_be_drawn(psu, terminal):
    sweep(psu["voltage"], range(2), reads=lambda: "text", plot=True)
    assert "is a number that can be drawn" in terminal.getvalue()


def test_nothing_is_shown_where_nobody_would_see_it(psu, capfd):
    sweep(psu["voltage"], range(20), reads=psu["current"], plot=True)
    assert capfd.readouterr() == ("", "")


def test_nothing_is_shown_where_it_is_not_wanted(psu, terminal):
    sweep(psu["voltage"], range(3), reads=psu["current"], progress=False)
    assert terminal.getvalue() == ""


class Limited(FakeHandle):
    """A parameter of an instrument, whose limits are known."""

    @property
    def info(self):
        return Parameter(self.parameter, unit=self.unit, minimum=0, maximum=30)


def test_all_values_are_checked_before_the_first_is_set(psu):
    voltage, current, plain = Limited(psu, "voltage"), Limited(psu, "current"), FakeHandle(psu, "current")
    wrong = r"value 3 of 3 for psu.voltage: .*out of limits.*; nothing was set"
    with pytest.raises(LimitError, match=wrong):
        sweep(voltage, [1, 2, 40], reads=[plain])
    with pytest.raises(LimitError, match=wrong):
        sweep((current, [1, 2]), (voltage, np.array([1, 2, 40])), reads=[plain], snake=True)
    with pytest.raises(LimitError, match="value 2 of 3 for psu.voltage: .*nan"):
        sweep(voltage, [1, math.nan, 3], reads=[plain])
    assert (voltage.puts, current.puts, psu.snapshots) == ([], [], 0)
    sweep(voltage, [1, 2, 30], reads=[plain])
    assert voltage.puts == [1, 2, 30]


def test_values_of_an_axis_are_numbers_in_its_unit(psu, store):
    voltage, values = Limited(psu, "voltage"), ["1 V", "2000 mV", 3]
    with pytest.raises(UnitError, match=r"value 2 of 3 for psu.voltage: .*; nothing was set"):
        sweep(voltage, ["1 V", "2000 mA", 3], reads=[psu["current"]])
    assert voltage.puts == []
    with pytest.raises(OfflineError):
        sweep(voltage, values, reads=Failing(OfflineError("gone")))
    run = sweep(voltage, values, reads=Failing(None, 99), resume="last")
    assert (run.id, run.state, voltage.puts) == (1, "done", [1.0, 2.0, 3.0, 3.0])
    assert run.axes == {"psu.voltage": [1.0, 2.0, 3.0]}
    assert run.data["psu.voltage"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("on_error", ["stop", "nan"])
def test_a_reading_in_another_unit_is_no_value(psu, store, on_error):
    """Somebody turns a knob: 500 from now on means millivolts."""
    units = iter(["V", "", "mV", "V"])
    handle = FakeHandle(psu, "current")
    handle.get = lambda: FakeReading(0.5, next(units))
    measure = lambda: sweep(None, range(4), reads=handle, progress=False, on_error=on_error)  # noqa: E731
    if on_error == "stop":
        with pytest.raises(UnitError, match=r"psu.current was read in mV, where the run has it in V; set the instrument back"):
            measure()
        assert len(store.run("last")) == 2
    else:
        assert [math.isnan(value) for value in measure().data["psu.current"]] == [False, False, True, False]


def test_a_function_stays_in_the_unit_of_its_first_reading(psu):
    class Length:
        magnitude = 1.5

        def __init__(self, units):
            self.units = units

    for first, other in ((FakeReading(1.0, "V"), FakeReading(1.0, "mV")), (Length("metre"), Length("mm"))):
        readings = iter([first, other])
        with pytest.raises(UnitError, match="was read in"):
            sweep(None, range(2), reads=lambda readings=readings: next(readings), progress=False)


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.uint8, np.array])
def test_numbers_of_numpy_meet_a_condition(kind):
    assert len(sweep(None, range(10), reads=lambda: kind(7), until="y1 > 5", progress=False)) == 1


def test_a_script_may_begin_and_go_on_by_the_same_name(psu, store):
    for error in (KeyboardInterrupt(), None):
        try:
            reads = Failing(error, 3, times=error is not None)
            run = sweep(psu["voltage"], range(5), reads=reads, name="night", resume="night", progress=False)
        except KeyboardInterrupt:
            continue
    assert (run.id, run.state, len(run)) == (1, "done", 5)
    with pytest.raises(RunError, match="no run 'nihgt'"):
        sweep(psu["voltage"], range(5), reads=Failing(None, 99), name="night", resume="nihgt", progress=False)
    assert sweep(None, [1], reads=lambda: 1, store=store.path.with_name("new.sqlite"), resume="last", progress=False).id == 1


def test_a_run_goes_on_in_its_own_store(psu, tmp_path):
    other = RunStore(tmp_path / "other.sqlite")
    with pytest.raises(KeyboardInterrupt):
        sweep(psu["voltage"], np.linspace(0, 1, 10), reads=Failing(KeyboardInterrupt()), store=other, progress=False)
    run = other.run("last")
    with pytest.raises(ConfigurationError, match="leave out the store"):
        sweep(psu["voltage"], np.linspace(0, 1, 10), reads=Failing(None, 99), store=RunStore(), resume=run)
    again = sweep(psu["voltage"], np.linspace(0, 1, 10), reads=Failing(None, 99), resume=run, progress=False)
    assert (again.store.path, again.state) == (other.path, "done")


def test_values_of_any_kind_are_the_same_when_a_run_goes_on(store):
    values = [(1, 2), np.float32(0.1), Decimal("0.3"), "up", b"x", math.nan]
    error, times = KeyboardInterrupt(), []

    def target(value):
        times.append(value)
        if len(times) == 3:
            raise error

    with pytest.raises(KeyboardInterrupt):
        sweep(target, values, reads=lambda: 1, progress=False)
    assert sweep(target, values, reads=lambda: 1, resume="last", progress=False).state == "done"


class Gone(io.StringIO):
    """A terminal whose connection was cut."""

    def write(self, _text):
        raise OSError(5, "Input/output error")

    flush = write_through = write


def test_a_terminal_that_goes_away_ends_no_scan(psu, monkeypatch):
    monkeypatch.setattr(progress, "_REFRESH", 0.01)  # its thread does not draw meanwhile
    console = Console(file=Gone(), force_terminal=True, width=80, height=40)
    real = progress.display
    monkeypatch.setattr("agentlab.runs.scan.display", lambda *args, **options: real(*args, **options, console=console))
    assert sweep(psu["voltage"], range(3), reads=psu["current"], plot=True).state == "done"


def test_values_too_far_apart_to_be_drawn_end_no_scan(terminal):
    values = iter([1e308, -1e308])
    assert sweep(None, range(2), reads=lambda: next(values), plot=True).state == "done"
    assert "too far apart to be drawn" in terminal.getvalue()
