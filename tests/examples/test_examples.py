"""Each example ends by itself, prints what stands here, says nothing on stderr, and leaves nothing behind."""

import ast
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentlab.settings import STATE_VARIABLE

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TIMEOUT = 60

EXPECTED = {
    "hello_world": """
        [TIME] (Laser): Hello world!
        """,
    "agents_and_proxies": """
        agents: ['Laser', 'Meter']
        method: tuned to 1532.5 nm
        attribute: 1532.5
        set from outside: 2.0
        by name: mW
        its own process: True
        """,
    "add_methods": """
        Laser shines with 1.5 mW
        energy: 3.0 mJ
        Laser shines with 0 mW
        once, as a method: 0 mW
        once, as a function: 6
        """,
    "push_pull": """
        received: [0.5, 1.0, 1.5]
        """,
    "push_pull_class": """
        5 readings, the highest 2.0 mW
        """,
    "request_reply": """
        at 5.0 mm
        at 7.5 mm
        no answer in time
        """,
    "request_reply_yield": """
        reply: moving to 5.0 mm
        on the way: 0.0
        arrived: 5.0
        """,
    "lambda_handlers": """
        in mW: [1000, 10000, 100000]
        in dBm: [0.0, 10.0, 20.0]
        doubled: 42
        seen: 3
        """,
    "async_handlers": """
        waiting in the oven: 2 done: 0
        done: ['sample A baked', 'sample B baked', 'sample C baked']
        """,
    "pub_sub": """
        display: ['frame 0', 'frame 1', 'frame 2']
        archive: ['frame 0', 'frame 1', 'frame 2']
        """,
    "pub_sub_topics": """
        plotted: [1.25]
        alarm/laser: interlock open
        alarm/water: chiller low
        archived: 4
        """,
    "subscribe_later": """
        power 1
        end 1
        POWER 2!
        temperature 2
        end 2
        end 3
        """,
    "async_request": """
        asked, and free to go on; pictures: []
        given up: 1
        WARNING [TIME] (Scan): Received response for an unknown request! 2
        pictures: ['picture of sample A', 'picture of sample C']
        """,
    "sync_publications": """
        history: [10, 20]
        point: 30
        """,
    "serializers": r"""
        raw: b'*IDN?'
        json: {'power': 1.5, 'range': [0, 2]}
        msgpack: {'power': 1.5, 'image': b'\x00\xff'}
        pickle: {'power': (1.5+2j), 'range': (0, 2)}
        cloudpickle: 42
        dill: 63
        json cannot write a set: SerializationError
        """,
    "numpy_streams": """
        images: 20
        first and last spot: (0, 0, 0) (19, 19, 38)
        """,
    "by_name_connections": """
        without a laser: ['Meter']
        powers: [1.0, 2.0]
        """,
    "timers": """
        readings: 10
        timers left: []
        timers now: 2
        stopped: True True
        stopped again: False
        """,
    "futures_and_await": """
        done at once: [False, False]
        x takes longer than 0.1 s
        X at 1.5 mm
        Y at 2.5 mm
        ['X at 0 mm', 'Y at 1 mm']
        """,
    "dispatcher_workers": """
        tasks done: 12
        results: [1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144]
        """,
    "ventilator_sink": """
        results: 100 sum: 5050.0
        done by all workers together: 100
        """,
    "several_nameservers": """
        optics: ['Laser', 'Meter']
        vacuum: ['Meter']
        meter of optics: 1.5 mW
        meter of vacuum: 2e-9 mbar
        the default: True
        asked across: 2e-9 mbar
        still there: ['Laser', 'Meter']
        """,
    "nameserver_file": """
        in the file: ['optics', 'vacuum']
        optics: ['Meter']
        vacuum: ['Meter', 'gauge']
        vacuum, started again: True
        """,
    "service_catalogue": """
        City Library has {'Optics': Book(title='Optics', copies=2)}
        Optics is yours
        Optics is yours
        all copies of Optics are lent
        all copies of Optics are lent
        answered beside the queue: pong running
        """,
    "instance_modes": """
        single: the four clients counted to 400 together
        session: the four clients counted to [100, 100, 100, 100]
        percall: the four clients counted to [1, 1, 1, 1]
        the one object still has 400
        objects left: {'single': 1, 'session': 0, 'percall': 0}
        """,
    "several_scripts": """
        laboratory.py ended with 0
        shining with 3.0 mW
        the meter reads 1.5 mW
        measure.py ended with 0
        shutting down: ['Laser', 'Meter']
        close.py ended with 0
        """,
    "reading_errors": """
        a call: the door of the laboratory is open
        raised by: raise InterlockError("the door of the laboratory is open")
        a request: this laser emits from 1500 to 1600 nm, not 800
        a slip: agent 'Laser' has no attribute 'shin'; did you mean 'shine'?
        a handler: ZeroDivisionError: division by zero
        errors: 3 and still running: True
        """,
    "reliable_start": """
        fails: ConnectionError: no camera is plugged in
        dies: 'Crashing' ended with exit code 3 while starting
        hangs: 'Hanging' did not start within 0.5 s; give it a longer timeout or see why it hangs
        name in use: agentlab.errors.NameTakenError: name already registered: 'Laser' is held by ...
        second attempt: started
        agents: ['Hanging', 'Laser']
        """,
    "logging_agents": """
        [TIME] (Laser): warming up
        DEBUG [TIME] (Laser): shown
        INFO [TIME] (Laser): shining
        WARNING [TIME] (Laser): the chiller is warm
        ERROR [TIME] (Meter): no light
        """,
    "inline_debugging": """
        same process: True
        reading: 3.0
        trace: ['reading channel 2']
        agents: ['Meter', 'Scan']
        """,
    "graceful_shutdown": """
        Red: shutter closed
        Green: shutter closed
        left: ['Logbook']
        error: something goes wrong in the script
        all shut down
        """,
    "supervised_pipeline": """
        running: Source Worker1 Worker2 Sink
        Worker1 is killed
        crashed killed by SIGKILL
        restarting killed by SIGKILL; started again
        ready
        Worker2 hangs
        hung it hung: its loop has not turned
        restarting it hung: its loop has not turned
        ready
        Worker1 running restarts: 1
        Worker2 running restarts: 1
        """,
    "first_instrument": """
        set: 5 V
        set: 0.5 V
        measured: 0.5 V, good
        refused: voltage = 31 V is out of limits; it takes 0 to 30 V; nothing was sent
        refused: voltage: 'A' cannot be converted into 'V': they measure different things; nothing was sent
        a slip: instrument 'supply' has no parameter or action 'volatge'; did you mean 'voltage'
        voltage           V  Voltage that is set; what is at the output is ``measured_voltage``.
        current           A  Current that is never exceeded.
        output               Whether the output is on.
        measured_voltage  V  Voltage at the output.
        measured_current  A  Current through the output.
        """,
    "scpi_table": """
        address: TCPIP::127.0.0.1::PORT::SOCKET
        in a script: agentlab,Simulated supply,0,1 2.0
        published: flowing = 0.75 A
        refused: voltage = 20 V is out of limits; it takes 0 to 12 V; nothing was sent
        errors of the device: 0,"No error"
        afterwards: False 0.0
        """,
    "visa_traps": """
        PyVISA: no voltage within 100 ms
        PyVISA: the current is 5.0
        ScpiDevice: no voltage within 100 ms
        ScpiDevice: the current is 0.1
        """,
    "own_driver": """
        200 degC argon done
        while it bakes: busy bake
        cancelled
        made safe: 20 degC
        """,
    "pymeasure_instrument": """
        channel 1 has: ['voltage_setpoint', 'current_limit', 'voltage', 'current', 'output_enabled']
        measured: 3.29871 V
        refused: ch_1.voltage_setpoint = 5.5 V is out of limits; it takes 0 to 5 V; nothing was sent
        the device was told: ['VOLT 3.3, (@1)', 'OUTPut 1, (@1)', 'MEASure:VOLTage? (@1)']
        """,
    "qcodes_instrument": """
        identity: QCoDeS, m0d3l, 336, 0.0.01
        sensor A: 100 K
        sensor B: 100.0
        P of output 1: 20.0
        refused: output_1.P = 2000 is out of limits; it takes 0.1 to 1000; nothing was sent
        """,
    "sharing_an_instrument": """
        refused, for: calibration
        reading stays free: 5.0
        owner: Other for: measuring over night
        idle, and still the owner: Other
        mine in time
        output: False
        """,
    "safe_state_and_interlock": """
        latched by: interlock thermometer.temperature > 23 degC -> heater.safe()
        heater: False
        refused: LatchedError
        reading stays free: 50.0 W
        supply: False - nobody kicked it for 0.5 s
        reset: True
        supply: the reading of thermometer.temperature is stale
        reset: refused, as nobody knows it yet
        emergency stop: safe
        """,
    "sweep_and_data": """
        aborted with 3 points or more: True current limit: 2.0
        done 11 points of 16 until supply.measured_current > 1.9 A
        current at 10 V: 1.0 A
        time (s),supply.voltage (V),supply.measured_voltage (V),supply.measured_current (A)
        picture: (1000, 620) pixels
        two axes: [(1.0, 1.0), (1.0, 2.0), (1.0, 3.0), (2.0, 3.0), (2.0, 2.0), (2.0, 1.0)]
        """,
    "bluesky_scan": """
        units: {'meter_power': 'mW', 'stage_position': 'mm'}
        10.5 #
        11.0 ###
        11.5 ########
        12.0 ################
        12.5 ####################
        13.0 ################
        13.5 ########
        14.0 ###
        14.5 #
        """,
    "instrument_lab": """
        simulated: agentlab.instruments.simulated:PowerSupply
        set: 0.25 V
        sample: 295 K
        in the history: 295 K good
        rule of the supply: thermometer.temperature > 320 K -> supply.safe()
        the lab is down
        """,
}

STDERR = {  # of examples about errors: what agents log there, without the tracebacks
    "reading_errors": [
        "ERROR [TIME] (Laser): call of shine() raised InterlockError: the door of the laboratory is open",
        "ERROR [TIME] (Laser): handler tune() raised ValueError: this laser emits from 1500 to 1600 nm, not 800",
        "ERROR [TIME] (Laser): handler <lambda> raised ZeroDivisionError: division by zero",
    ],
}
LOGGED = re.compile(r"(WARNING )?\[TIME\] \((\w+)\): (\2 (is|was)|\w+ has lost \2)\b|Connected to: ")
"""What instruments log of their links, owners and safe states while the script prints; and QCoDeS of what it connects to."""

NOTEBOOK = """
    ['Laser', 'Meter']
    1530 nm  0.200  ####
    1540 nm  0.500  ##########
    1550 nm  1.000  ####################
    1560 nm  0.500  ##########
    1570 nm  0.200  ####
    1550
    """

RUN_NOTEBOOK = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.get("outputs", ()):
        print(output["text"].rstrip() if output["output_type"] == "stream" else output["data"]["text/plain"])
"""


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


def normal(text):
    """Give the lines of an output without what differs from run to run."""
    text = re.sub(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\]", "[TIME]", text)
    return [line for line in lines(re.sub(r"PYRO:.*", "...", text)) if not LOGGED.match(line)]


def execute(arguments, folder):
    """Run a program in an empty folder; give its result when it ended well and left that folder empty."""
    state = folder.with_name(f"{folder.name}-state")  # where latches are kept
    env = {**os.environ, "PYTHONUNBUFFERED": "1", STATE_VARIABLE: str(state)}  # lines of script and agents come in order
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(folder.iterdir()) == []
    return done


GROUPS = [list(EXPECTED)[i : i + 3] for i in range(0, len(EXPECTED), 3)]
"""Three at a time: they mostly wait, and every other test waits for them."""


@pytest.mark.parametrize("names", GROUPS, ids="+".join)
def test_each_prints_what_it_promises(names, tmp_path):
    with ThreadPoolExecutor(len(names)) as pool:
        for check in [pool.submit(check_example, name, tmp_path / name) for name in names]:
            check.result()


def check_example(name, folder):
    folder.mkdir()
    done = execute([str(EXAMPLES / f"{name}.py")], folder)
    assert (name, normal(done.stdout)) == (name, lines(EXPECTED[name]))
    logged = normal(done.stderr)
    if name in STDERR:
        assert [line for line in logged if line.startswith(("ERROR ", "WARNING "))] == STDERR[name]
    else:
        assert (name, logged) == (name, [])


def test_notebook(tmp_path):
    done = execute(["-c", RUN_NOTEBOOK, str(EXAMPLES / "notebook.ipynb")], tmp_path)
    assert lines(done.stdout) == lines(NOTEBOOK)


def test_every_example_is_tested_and_listed():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == set(EXPECTED)
    listed = re.findall(r"^``(\w+\.\w+)``", (EXAMPLES / "README.rst").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted([*(f"{name}.py" for name in names), "notebook.ipynb"])


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.stem)
def test_is_short_and_explained(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 60
    assert ast.get_docstring(tree)
    assert "main" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert text.endswith('if __name__ == "__main__":\n    main()\n')
