"""Simulated devices: as classes, in one world, and behind real sockets in a process of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from agentlab.errors import AgentStartError, CancelledCallError, ConfigurationError, LimitError, OfflineError
from agentlab.instruments import InstrumentSpec, ScpiDevice
from agentlab.instruments.drivers.loading import load_driver
from agentlab.instruments.simulated import (
    Heater,
    Laser,
    PowerMeter,
    PowerSupply,
    Stage,
    Thermometer,
    World,
    run_simulated,
    table_path,
    visa_sim,
)
from agentlab.instruments.simulated.devices import KINDS
from agentlab.instruments.simulated.dialogue import Dialogue
from agentlab.testing.waiting import wait_condition


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_scan_of_the_stage_gives_a_peak_and_of_the_wavelength_dips(clock):
    world = World(1, clock)
    laser, stage, meter = Laser(world=world), Stage(world=world), PowerMeter(world=world)
    meter.averages = 1
    assert abs(meter.power) < 0.1  # dark
    laser.output, laser.wavelength = True, 780.22
    seen = []
    for target in range(26):
        stage.start(target)
        clock.now += 60
        seen.append(meter.power)
    assert seen.index(max(seen)) in (12, 13) and max(seen) > 0.5 and seen[0] < 0.1
    stage.start(12.5)
    clock.now += 60
    off = meter.power
    laser.wavelength = 780.2439  # rubidium 85, F=3
    assert meter.power < off / 2


def test_noise_is_seeded():
    first, again, other = PowerMeter(1), PowerMeter(1), PowerMeter(2)
    values = [meter.samples(5) for meter in (first, again, other)]
    assert values[0] == values[1] != values[2]


def test_the_meter_averages_and_says_when_it_is_too_bright():
    world = World()
    laser, meter = Laser(world=world), PowerMeter(world=world)
    laser.output, laser.power, meter.averages, meter.full_scale = True, 50, 1, 1.0
    assert meter.power == float("inf")
    meter.full_scale = 100.0
    assert 30 < meter.power <= 51


def test_the_stage_moves_in_its_time_and_stops_where_it_is(clock):
    stage = Stage(speed=10, world=World(1, clock))
    stage.start(20)
    assert stage.moving
    clock.now = 0.5
    assert stage.position == pytest.approx(5)
    stage.speed = 1
    clock.now = 1.5
    assert stage.position == pytest.approx(6)
    stage.start(0)
    clock.now = 2.5
    assert stage.position == pytest.approx(5)
    stage.abort()
    clock.now = 99
    assert stage.position == pytest.approx(5) and not stage.moving
    with pytest.raises(CancelledCallError, match="stopped at 5 mm"):
        stage.wait()


def test_a_motion_is_cancelled_with_progress():
    stage = Stage(speed=1)
    caught = []

    def move():
        try:
            stage.position = 25
        except CancelledCallError as error:
            caught.append(error)

    thread = threading.Thread(target=move)
    thread.start()
    assert wait_condition(lambda: (stage.progress or 0) > 0)
    stage.cancelled = True
    thread.join(5)
    assert len(caught) == 1 and not stage.moving and 0 < stage.position < 25


def test_heat_reaches_the_thermometer_and_safe_takes_it_away(clock):
    world = World(1, clock)
    heater, thermometer = Heater(world=world), Thermometer(world=world)
    assert thermometer.temperature == pytest.approx(295, abs=0.1)
    heater.power, heater.output = 50, True
    clock.now = 20
    assert thermometer.temperature == pytest.approx(295 + 50 * 0.632, abs=0.1)
    heater.safe()
    clock.now = 1000
    assert thermometer.temperature == pytest.approx(295, abs=0.1)


def test_the_supply_limits_its_current():
    supply = PowerSupply()
    supply.voltage, supply.output, supply.current = 20, True, 1.5
    assert supply.measured_current == pytest.approx(1.5, abs=0.01) and supply.measured_voltage == pytest.approx(15, abs=0.01)
    supply.safe()
    assert supply.measured_voltage == pytest.approx(0, abs=0.01) and supply.voltage == 0


def test_they_guard_themselves():
    for device, name, value in ((Laser(), "wavelength", 1064), (Stage(), "position", -1), (PowerSupply(), "voltage", 31)):
        with pytest.raises(LimitError, match=name):
            setattr(device, name, value)
    with pytest.raises(LimitError):
        PowerMeter().full_scale = 2


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_a_driver_as_it_stands_and_like_its_table(kind):
    cls = KINDS[kind]
    driver = load_driver(InstrumentSpec(kind, f"{cls.__module__}:{cls.__name__}"))
    own = driver.table()
    driver.open()
    assert driver.prove().startswith("agentlab,Simulated")
    for name, parameter in own.parameters.items():
        assert parameter.accept(driver.get(name)) is not None and parameter.type != "any"
    assert driver.table().parameters == own.parameters  # nothing leaks out of the instance
    driver.close()
    scpi = load_driver(
        InstrumentSpec(kind, "agentlab.instruments.scpi.device:ScpiDevice", "TCPIP::x::1::SOCKET", (str(table_path(kind)),))
    )
    told = scpi.table()
    for name, parameter in told.parameters.items():
        other = own.parameters[name]
        assert (parameter.type, parameter.unit, parameter.minimum, parameter.maximum, parameter.writable) == (
            other.type,
            other.unit,
            other.minimum,
            other.maximum,
            other.writable,
        )
    assert set(told.parameters) == set(own.parameters)


def test_a_dialogue_answers_as_scpi_devices_do():
    laser = Dialogue("laser", World())
    assert laser.answer("*IDN?\r\n") == "agentlab,Simulated laser,0,1"
    assert laser.answer("pow 5;POW?;OUTP 1;OUTP?") == "5.000000000E+00;1"
    assert laser.answer("POW 500") is None and laser.answer("POW?") == "5.000000000E+00"
    assert laser.answer("SYST:ERR?").startswith("-222,") and laser.answer("SYST:ERR?") == '0,"No error"'
    assert laser.answer("NONSENSE?") is None and laser.answer("SYST:ERR?").startswith("-113,")
    assert laser.answer("TEMP 3") is None and laser.answer("") is None
    for hostile in ("WARM? 1e999", "WARM? nan", "WARM? 1,2", "POW x", "POW nan"):
        assert laser.answer(hostile) is None and laser.answer("SYST:ERR?").startswith("-222,"), hostile
    assert Dialogue("meter", World()).answer("SAMP? 2").count(",") == 1
    assert laser.answer("*CLS") is None and laser.answer("SYST:ERR?") == '0,"No error"' and laser.answer("*OPC?") == "1"


def test_a_stop_is_done_while_the_stage_moves():
    stage = Dialogue("stage", World())
    stage.answer("VEL 1;POS 20")
    done = []
    thread = threading.Thread(target=lambda: done.append(stage.answer("*OPC?")))
    thread.start()
    assert wait_condition(lambda: (stage.device.progress or 0) > 0)
    stage.answer("STOP")
    thread.join(5)
    assert done == [None] and stage.answer("MOV?") == "0"


def lines(port, *asked):
    with socket.create_connection(("127.0.0.1", port), 5) as connection, connection.makefile("rb") as replies:
        connection.sendall("".join(f"{one}\n" for one in asked).encode())
        return [replies.readline().decode().strip() for one in asked if one.endswith("?")]


def test_devices_behind_sockets_share_a_world_and_cables_are_pulled():
    with run_simulated({"red": "laser", "stage": "stage", "meter": "meter"}) as bench:
        assert bench.addresses["red"] == f"TCPIP::127.0.0.1::{bench.ports['red']}::SOCKET"
        assert bench.tables["red"].endswith("laser.yml")
        lines(bench.ports["red"], "OUTP 1", "POW 10", "POW?")
        assert lines(bench.ports["stage"], "POS 12.5;*OPC?", "MOV?") == ["1", "0"]
        assert float(lines(bench.ports["meter"], "POW?")[0]) > 3
        with socket.create_connection(("127.0.0.1", bench.ports["red"]), 5) as held:
            assert lines(bench.ports["red"], "POW?") == ["1.000000000E+01"]
            bench.unplug("red")
            bench.unplug("red")
            assert held.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            lines(bench.ports["red"], "POW?")
        assert lines(bench.ports["meter"], "*IDN?") == ["agentlab,Simulated power meter,0,1"]
        bench.plug("red")
        assert lines(bench.ports["red"], "POW?") == ["1.000000000E+01"]  # it was not switched off
        bench.freeze("red")
        with socket.create_connection(("127.0.0.1", bench.ports["red"]), 5) as asking:
            asking.sendall(b"POW?\n")
            asking.settimeout(0.05)
            with pytest.raises(TimeoutError):
                asking.recv(1)
            bench.thaw("red")
            asking.settimeout(5)
            assert asking.recv(100) == b"1.000000000E+01\n"
        with pytest.raises(ConfigurationError, match="did you mean 'red'"):
            bench.unplug("rde")
        pid = bench.pid
    bench.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(AgentStartError, match="has ended"):
        bench.unplug("red")


def test_the_tables_of_commands_speak_to_them_through_visa():
    with run_simulated(["laser", "stage", "meter"]) as bench, contextlib.ExitStack() as open_ones:
        drivers = {}
        for name, address in bench.addresses.items():
            spec = InstrumentSpec(name, "agentlab.instruments:ScpiDevice", address, (bench.tables[name],))
            drivers[name] = load_driver(spec)
            drivers[name].open()
            open_ones.callback(drivers[name].close)
            assert drivers[name].prove().startswith("agentlab,Simulated")
        laser, stage, meter = drivers.values()
        laser.set("output", True)
        laser.set("power", 10.0)
        stage.set("position", 12.5)  # waits until it is there
        assert stage.get("position") in (12.5, "1.250000000E+01")
        power = meter.table().parameters["power"].accept(meter.get("power"))
        assert 3 < power < 10.5
        assert len(meter.table().actions["samples"].doc) > 0 and len(meter.call("samples", (), {})) == 100
        assert 25 < float(laser.call("warm_up", (), {"seconds": 0.05})) < 28
        bench.unplug("laser")
        with pytest.raises(OfflineError):
            laser.get("power")
        bench.plug("laser")
        laser.recover()
        assert float(laser.get("power")) == 10.0
        assert laser.safe() and laser.table().parameters["output"].accept(laser.get("output")) is False


def test_a_bench_that_cannot_be():
    with pytest.raises(ConfigurationError, match="did you mean 'laser'"):
        run_simulated(["lsaer"])
    with pytest.raises(ConfigurationError):
        table_path("lsaer")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AgentStartError, match="could not be served"):
        run_simulated(["laser"], ports={"laser": taken.getsockname()[1]})


def test_by_hand_from_a_shell():
    command = [sys.executable, "-m", "agentlab.instruments.simulated.scpi_server", "--device", "laser", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            name, _, place = process.stdout.readline().strip().partition(" ")
            port = int(place.rpartition(":")[2])
            assert name == "laser" and lines(port, "POW?") == ["1.000000000E+00"]
            process.stdin.write("unplug laser\nplug laser\nunplgu laser\n")
            process.stdin.flush()
            assert [process.stdout.readline().strip() for _ in range(2)] == ["ok", "ok"]
            assert "did you mean 'unplug'" in process.stdout.readline()
            assert lines(port, "POW?") == ["1.000000000E+00"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


BUSES = [(kind, f"GPIB::{n}::INSTR") for n, kind in enumerate(("supply", "laser", "meter", "stage", "heater", "thermometer"), 1)]


@pytest.mark.parametrize(("kind", "address"), [*BUSES, ("supply", "USB::0x1111::0x2222::1::INSTR")])
def test_the_tables_of_commands_speak_to_pyvisa_sim_too(kind, address):
    with ScpiDevice(address, table_path(kind), visa_library=visa_sim(), timeout=1) as device:
        assert device.query("*IDN?") == f"agentlab,pyvisa-sim {kind},0,1"
        for name, entry in device.table.entries.items():
            found = device.get(name)
            if entry.parameter.writable:
                device.set(name, found)
            assert device.get(name) == found
