"""Public names that are loaded when they are first asked for."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = [
    "agentlab",
    "agentlab.instruments",
    "agentlab.instruments.simulated",
    "agentlab.lab",
    "agentlab.nameserver",
    "agentlab.runs",
]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_can_be_had_and_is_listed(package):
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        first = getattr(module, name)
        assert first is getattr(module, name) and name in vars(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'run_agnet'"):
        _ = importlib.import_module(package).run_agnet


def test_importing_the_packages_loads_no_library():
    code = f"import sys; import {', '.join(PACKAGES)}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "agentlab" in loaded
    assert not {
        "zmq",
        "Pyro5",
        "serpent",
        "psutil",
        "cloudpickle",
        "pydantic",
        "yaml",
        "sqlalchemy",
        "numpy",
        "pyvisa",
        "rich",
    } & {*loaded}
