"""What is found out about classes, and what modules cannot do to whoever asks."""

import sys
import time

import pytest

from agentlab.lab.facts import Call
from agentlab.lab.inspection import inspect_classes
from tests.lab.written import DEVICES, one_problem, problems, write
from tests.timing import soon

FINE = "from agentlab import Agent\nclass A(Agent): ...\nclass S:\n    def f(self): ...\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab")
    write(path, DEVICES, "bench_devices.py")
    write(path, FINE, "fine.py")
    return path


@pytest.fixture(scope="module")
def facts(folder):
    names = ["Meter", "Scan", "Wrong", "Catalogue", "Device", "Stubborn", "Anything", "Closed", "laser", "Metre", "Meter.x"]
    return {name: found for name in names for found in [inspect_all(folder, names)[f"bench_devices:{name}"]]}


_known = {}


def inspect_all(folder, names):
    if folder not in _known:
        _known[folder] = inspect_classes([f"bench_devices:{name}" for name in names], folder)
    return _known[folder]


# --- what a class is ----------------------------------------------------------------------------------------------


def test_an_agent(facts):
    meter, scan = facts["Meter"], facts["Scan"]
    assert meter.is_agent and not meter.problem and meter.connect is None
    assert {alias: (said["kind"], said["handler"]) for alias, said in meter.binds.items()} == {
        "power": ("PUB", None),
        "jobs": ("PULL", "on_job"),
        "ask": ("ASYNC_REP", "on_job"),
    }
    assert {"name", "on_init", "host", "_loop", "on_job", "binds"} <= set(meter.taken) and "gain" not in meter.taken
    methods = {name: scan.methods[name] for name in ("on_power", "on_topic", "no_message", "later", "fixed", "send")}
    assert methods == {
        "on_power": (True, False),
        "on_topic": (False, True),
        "no_message": (False, False),
        "later": (True, False),
        "fixed": (True, False),
        "send": (False, True),
    }
    assert "__init__" not in scan.methods and "log" not in scan.methods


def test_a_service(facts):
    assert facts["Catalogue"].constructor == Call(("path", "size"), ("path",))
    assert facts["Catalogue"].public == ("find",) and not facts["Catalogue"].is_agent
    assert facts["Device"].connect == Call(("port", "speed"), ("port",)) and facts["Device"].public == ("connect", "power")
    assert facts["Device"].constructor.required == ()
    assert facts["Stubborn"].constructor.required == ("key",)
    assert facts["Anything"].constructor.anything and facts["Anything"].public == ("value",)
    assert facts["Closed"].public == ()


def test_what_is_no_class(facts):
    assert "is no class: bench_devices:laser is a Catalogue" in facts["laser"].problem
    assert "module bench_devices has no class 'Metre'; did you mean 'Meter'?" in facts["Metre"].problem
    assert "has no class 'x'" in facts["Meter.x"].problem


# --- what modules cannot do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "import nothing_of_the_kind",
            "cannot be imported: ModuleNotFoundError: No module named 'nothing_of_the_kind' (odd.py, line 1)",
        ),
        ("x = 1\ny = 1 / 0", "cannot be imported: ZeroDivisionError: division by zero (odd.py, line 2)"),
        ("raise ValueError('two\\nlines')", "cannot be imported: ValueError: two lines (odd.py, line 1)"),
        ("def f(:", "cannot be imported: SyntaxError: invalid syntax (odd.py, line 1)"),
        ("import sys\nsys.exit(3)", "module odd ends the program, with sys.exit(3) (odd.py, line 2)"),
        (
            "import os, sys\nprint('no licence', file=sys.stderr)\nos._exit(3)",
            "the process ended with exit code 3 while it imported module odd, after it wrote 'no licence'",
        ),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
            "the process was killed by SIGKILL while it imported module odd",
        ),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
            "the process was killed by SIGSEGV while it imported module odd",
        ),
        ("import time\ntime.sleep(60)", "module odd took longer than 0.5 s; do at import only what is quick"),
        ("import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass", "module odd took longer than 0.5 s"),
        ("raise KeyboardInterrupt", "while it imported module odd"),
        ("class BaseError(BaseException): ...\nraise BaseError('x')", "cannot be imported: BaseError: x"),
    ],
)
def test_a_module_that_misbehaves_is_told_of_its_own_classes_alone(folder, program, said, capfd):
    write(folder, program, "odd.py")
    found = inspect_classes(["odd:A", "fine:A", "odd:B", "zzz:A", "fine:S"], folder, limit=0.5)
    assert said in found["odd:A"].problem and found["odd:B"].problem == found["odd:A"].problem
    assert "\n" not in found["odd:A"].problem
    assert found["fine:A"].is_agent and found["fine:S"].public == ("f",)
    assert (
        "no module is called 'zzz'" in found["zzz:A"].problem and f"searched first: {folder.resolve()}" in found["zzz:A"].problem
    )
    assert capfd.readouterr() == ("", "")


def test_a_package_that_loads_its_names_when_they_are_asked_for(folder):
    lazy = "def __getattr__(name):\n    if name == 'A':\n        from fine import A\n        return A\n"
    lazy += "    if name == 'B':\n        import nothing_of_that_name\n    raise AttributeError(name)\n"
    write(folder, lazy + "def __dir__(): return ['A', 'B']\n", "lazily.py")
    found = inspect_classes(["lazily:A", "lazily:B", "lazily:C", "agentlab:Agent"], folder)
    assert found["lazily:A"].is_agent and found["agentlab:Agent"].is_agent
    assert "No module named 'nothing_of_that_name'" in found["lazily:B"].problem
    assert found["lazily:C"].problem == "cannot be found: module lazily has no class 'C'; known names: 'A', 'B'"


def test_what_a_module_prints_starts_and_leaves_reaches_nobody(folder, capfd):
    program = """
    import atexit, os, subprocess, sys, threading, time
    print("hello"); print("to you", file=sys.stderr); os.write(1, b"raw")
    subprocess.run([sys.executable, "-c", "print('child')"])
    threading.Thread(target=time.sleep, args=(60,)).start()
    atexit.register(time.sleep, 60)
    sys.modules["json"] = None
    class A:
        def f(self): ...
    """
    write(folder, program, "loud.py")
    began = time.monotonic()
    assert inspect_classes(["loud:A", "fine:A"], folder)["loud:A"].public == ("f",)
    assert time.monotonic() - began < soon(5)
    assert capfd.readouterr() == ("", "") and "loud" not in sys.modules


def test_classes_that_make_looking_hard(folder):
    program = """
    class Meta(type):
        def __dir__(cls): raise RuntimeError("do not look")
    class A(metaclass=Meta): ...
    class B:
        __signature__ = 3
        def f(self): ...
    class C:
        @property
        def x(self): raise AssertionError("read")
        def __getattr__(self, name): raise AssertionError("asked")
    from ctypes import Structure as D
    from datetime import datetime as E
    """
    write(folder, program, "hard.py")
    found = inspect_classes([f"hard:{name}" for name in "ABCDE"], folder)
    assert found["hard:A"].problem == "cannot be looked at: RuntimeError: do not look"
    assert found["hard:B"].public == ("f",) and found["hard:B"].constructor.anything
    assert found["hard:C"].public == ("x",)
    assert not found["hard:D"].problem and not found["hard:E"].problem


def test_the_folder_of_the_lab_file_comes_first(folder, tmp_path, monkeypatch):
    write(tmp_path, "class S:\n    def other(self): ...", "fine.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert inspect_classes(["fine:S"], folder)["fine:S"].public == ("f",)


def test_nothing_to_look_at_starts_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr("agentlab.lab.inspection.start_child", None)
    assert inspect_classes([], tmp_path) == {}


# --- what the file says of classes --------------------------------------------------------------------------------


def checked(folder, text):
    return problems(folder, text, inspect=True)


def test_a_lab_that_fits_its_classes(folder):
    text = """
    agents:
      Meter: {class: "bench_devices:Meter", attributes: {gain: 2, other: 3}, sockets: {more: {kind: REP, handler: on_job}}}
      Scan: {class: bench_devices.Scan}
    services:
      a: {module: bench_devices, classname: Catalogue, parameters: {path: x, size: 4}}
      b: {module: bench_devices, classname: Device, parameters: {port: COM3}}
      c: {module: bench_devices, classname: Anything, parameters: {whatever: 1}}
    wires:
      - Meter.power -> Scan.on_power
      - {from: Meter.power, to: Scan.on_topic, topic: a}
      - Scan.out -> Meter.jobs
      - {from: Meter.x, to: Scan.later, kind: PUSH}
      - {from: Meter.question, to: Meter.ask, reply: on_reply}
    """
    assert checked(folder, text) == []


def test_everything_that_does_not_fit_is_told_at_once(folder):
    text = """
    agents:
      A: {class: "bench_devices:Meter", attributes: {name: 1, on_job: 2, _loop: 3, gain: 4}}
      B: {class: "bench_devices:Catalogue"}
      C: {class: "bench_devices:Wrong"}
      D: {class: "bench_devices:Scan", sockets: {x: {kind: PULL, handler: on_powr}, y: {kind: PULL, handler: no_message}}}
      E: {class: "bench_devices:Scan", sockets: {x: {kind: PULL, handler: on_topic}, y: {kind: SUB, handler: on_topic}}}
    services:
      a: {module: bench_devices, classname: Catalogue, parameters: {paht: x}}
      b: {module: bench_devices, classname: Closed}
      c: {module: bench_devices, classname: Scan}
      d: {module: bench_devices, classname: Stubborn, parameters: {port: 1, key: 3}}
      e: {module: nowhere, classname: C}
    """
    found = [line.split(": ", 1)[1].replace("bench_devices:", "") for line in checked(folder, text)]
    expected = [
        "agents.A.attributes.name: an agent of this class has a method or a part called 'name' already; take another name",
        "agents.A.attributes.on_job: an agent of this class has a method or a part called 'on_job' already; take another name",
        "agents.A.attributes._loop: an agent of this class has a method or a part called '_loop' already; take another name",
        "agents.B.class: Catalogue is no subclass of agentlab.Agent; inherit from it, or make it one of the services",
        "agents.C.class: Wrong declares a socket 'x' of kind PUBB, allowed are PUB, PUSH, SYNC_PUB, REQ, SUB, PULL",
        "agents.C.class: handler of the socket 'y' that the class declares: Wrong has no method 'on_x'; none is known",
        "agents.D.sockets.x.handler: Scan has no method 'on_powr'; did you mean 'on_power'? known names: 'fixed', 'later', 'no_m",
        "agents.D.sockets.y.handler: method no_message of Scan cannot be called with a message; its parameters must be (self, m",
        "agents.E.sockets.x.handler: method on_topic of Scan cannot be called with a message; its parameters must be (self, mes",
        "services.a.parameters: the constructor of Catalogue needs path; give it here",
        "services.a.parameters.paht: the constructor of Catalogue has no parameter 'paht'; did you mean 'path'? known names: 'p",
        "services.b.classname: Closed has no public method; names without a leading underscore are public",
        "services.c.classname: Scan is an agent, which serves itself; move it to the section agents",
        "services.d.classname: Stubborn has a connect(), which gets the parameters, but its constructor needs key; give defaults",
        "services.d.parameters.key: connect() of Stubborn has no parameter 'key'; known names: 'port', 'speed'",
        "services.e.classname: nowhere:C cannot be imported: no module is called 'nowhere'",
    ]
    assert len(found) == len(expected)
    assert [line for line, begins in zip(found, expected, strict=True) if not line.startswith(begins)] == []


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        ("M.power -> S.on_powr", "agent S (bench_devices:Scan) has no method 'on_powr'; did you mean 'on_power'?"),
        (
            "M.power -> S.no_message",
            "method no_message of agent S (bench_devices:Scan) cannot be called with a message; its parameters ",
        ),
        ("{from: M.x, to: S.on_topic, kind: PUSH}", "its parameters must be (self, message)"),
        ("M.pwer -> S.on_power", "nobody says what kind of socket M.pwer is; did you mean 'power'?"),
        ("M.jobs -> S.on_power", "M.jobs is a PULL socket, which receives"),
        ("M.power -> M.jobs", "M.power is a PUB socket and M.jobs a PULL socket, and these kinds do not match"),
        ("{from: S.q, to: M.ask, reply: on_repl}", "reply: agent S (bench_devices:Scan) has no method 'on_repl'"),
        ("{from: S.on, to: M.job, kind: PUSH}", "has no method 'job'"),
    ],
)
def test_wires_between_classes(folder, wire, said):
    text = f"agents: {{M: {{class: 'bench_devices:Meter'}}, S: {{class: 'bench_devices:Scan'}}}}\nwires:\n  - {wire}"
    assert said in one_problem(folder, text, inspect=True)


def test_a_class_that_cannot_be_imported_hides_no_other_problem(folder):
    text = "agents: {A: {class: nowhere.C, after: [B]}, S: {class: 'bench_devices:Scan'}}\nwires: [A.x -> S.f, A.x -> S.on_power]"
    found = checked(folder, text)
    assert len(found) == 3 and "no module is called 'nowhere'" in found[0] and "found 'B'" in found[1]
    assert "agent S (bench_devices:Scan) has no method 'f'" in found[2]
