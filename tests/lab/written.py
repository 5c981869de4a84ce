"""Lab files for tests, and what is said of them."""

from pathlib import Path
from textwrap import dedent

from agentlab.lab.file import read_lab
from agentlab.yamlfile.problems import ProblemsError

DEVICES = """
from functools import cached_property
from agentlab import Agent


class Meter(Agent):
    binds = {"power": "PUB", "jobs": {"kind": "PULL", "handler": "on_job"}, "ask": {"kind": "ASYNC_REP", "handler": "on_job"}}
    gain = 1.0

    def on_job(self, job): ...
    def on_reply(self, reply): ...


class Scan(Agent):
    def on_power(self, power): ...
    def on_topic(self, power, topic): ...
    def no_message(self): ...
    async def later(self, power): ...
    @staticmethod
    def fixed(power): ...


class Wrong(Agent):
    binds = {"x": "PUBB", "y": {"kind": "PULL", "handler": "on_x"}}


class Catalogue:
    def __init__(self, path, size=3): ...
    def find(self, name): ...


class Device:
    def connect(self, port, *, speed=1): ...
    @property
    def power(self): raise AssertionError("nobody may ask")


class Stubborn(Device):
    def __init__(self, key): ...


class Anything:
    def __init__(self, **options): ...
    @cached_property
    def value(self): raise AssertionError("nobody may ask")


class Closed:
    def _inside(self): ...


laser = Catalogue("x")
"""


def write(folder: Path, text: str, name: str = "lab.yml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), "utf-8")
    return path


def lab(folder: Path, text: str, **options):
    options.setdefault("inspect", False)
    return read_lab(write(folder, text), **options)


def problems(folder: Path, text: str, **options) -> list[str]:
    """Give what is wrong with a text, each as ``line:column: key: text``."""
    return complaints(write(folder, text), **options)


def complaints(path: Path, **options) -> list[str]:
    options.setdefault("inspect", False)
    try:
        read_lab(path, **options)
    except ProblemsError as error:
        return [str(problem).replace(f"{path.parent}/", "").removeprefix(f"{path.name}:") for problem in error.problems]
    return []


def one_problem(folder: Path, text: str, **options) -> str:
    found = problems(folder, text, **options)
    assert len(found) == 1, found
    return found[0]
