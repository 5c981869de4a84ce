"""``agentlab info``: versions, settings and directories."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from importlib import metadata

from rich.console import Console
from rich.table import Table

import agentlab
from agentlab.cli.options import Json, as_json
from agentlab.keys import DIRECTORY_VARIABLE, keys_dir
from agentlab.settings import NAMESERVER_VARIABLE, config, runtime_dir

PACKAGES = ("pyzmq", "Pyro5", "msgpack", "cloudpickle", "dill", "numpy")


def info(as_text_for_programs: Json = False) -> None:
    """Show versions, settings and directories; never a key."""
    versions = _versions()
    settings = {
        key: {"value": value, "variable": variable, "means": doc} for key, (value, variable, doc) in config.describe().items()
    }
    places = {
        "name server": os.environ.get(NAMESERVER_VARIABLE) or f"not set ({NAMESERVER_VARIABLE})",
        "sockets": str(runtime_dir()),
        "keys": f"{keys_dir()} ({DIRECTORY_VARIABLE})" if os.environ.get(DIRECTORY_VARIABLE) else str(keys_dir()),
    }
    if as_text_for_programs:
        print(as_json({"versions": versions, "settings": settings, "places": places}))
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for title, rows in (("Versions", versions), ("Places", places)):
        console.print(title)
        for name, text in rows.items():
            console.print(f"  {name:<12} {text}")
        console.print()
    table = Table(title="Settings", title_justify="left", title_style="", box=None, pad_edge=False)
    for heading in ("setting", "value", "variable", "means"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("setting", "variable"))
    for key, row in settings.items():
        table.add_row(key, str(row["value"]), str(row["variable"] or ""), str(row["means"]))
    Console(highlight=False, markup=False).print(table)


def _versions() -> dict[str, str]:
    versions = {
        "agentlab": agentlab.__version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})",
        "system": platform.platform(),
        "libzmq": _libzmq(),
    }
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _libzmq() -> str:
    """Give the version of the library; the transport floor, the only one that may import it, is loaded for this."""
    importlib.import_module("agentlab.transport.context")
    module = sys.modules.get("zmq")
    return "not loaded" if module is None else str(module.zmq_version())
