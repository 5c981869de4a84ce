"""``agentlab nameserver``: name servers in the foreground."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentlab.cli.door import FAILED, MISTAKE, say
from agentlab.cli.options import DEFAULT_ADDRESS, Json
from agentlab.errors import ConfigurationError, nearest
from agentlab.nameserver.foreground import start_ns_loop, stopped_by_signals
from agentlab.nameserver.places import nameserver_address
from agentlab.nameserver.server import NameServer
from agentlab.settings import NAMESERVER_VARIABLE
from agentlab.settings import config as settings

if TYPE_CHECKING:
    from agentlab.runtime.nsgroup import Served


def nameserver(
    address: Annotated[
        str | None,
        typer.Argument(metavar="[HOST:PORT]", help=f"Where it listens; port 0: any free one. [default: {DEFAULT_ADDRESS}]"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="YAML file that describes name servers, or a lab file.")
    ] = None,
    launch: Annotated[
        str | None, typer.Option("--launch", "-l", metavar="NAME", help="Serve this one of the file; without it: all of them.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Unknown keys and shared ports are errors, not warnings.")] = False,
    as_json: Json = False,
) -> None:
    """Serve names until Ctrl-C or SIGTERM, which are its normal end (exit code 0); agents live on without it.

    Where it serves is told in one line for each name server.
    """
    if config is None:
        if launch is not None or strict:
            raise ConfigurationError("--launch and --strict are about a file; name it with --config FILE")
        _serve_address(address or DEFAULT_ADDRESS, as_json=as_json)
    elif address is not None:
        raise ConfigurationError(f"{address!r} and --config both say where to listen; give one of them")
    else:
        _serve_file(config, launch, strict=strict, as_json=as_json)


def _serve_address(address: str, *, as_json: bool) -> None:
    place = nameserver_address(address)
    server = NameServer(place.host, place.port)
    with stopped_by_signals(server.stop):
        server.run(on_ready=lambda served: _ready(served, as_json=as_json))
    _ended(as_json=as_json)


def _serve_file(file: Path, launch: str | None, *, strict: bool, as_json: bool) -> None:
    from agentlab.nameserver.config import read_nameserver_configs  # needs pydantic and yaml

    configs = read_nameserver_configs(file, strict=strict, warn_of_clashes=False)  # what comes of them is reported
    if launch is None and len(configs) == 1:
        (launch,) = configs
    if launch is None:
        _serve_all(configs, strict=strict, as_json=as_json)
        return
    if launch not in configs:
        raise ConfigurationError(f"{file} has no name server {launch!r}{nearest(launch, configs)}")

    def ready(served: str) -> None:
        _ready(served, launch, as_json=as_json)
        _warn(configs[launch])

    start_ns_loop(configs[launch], on_ready=ready)
    _ended(as_json=as_json)


def _warn(config: Any) -> None:
    """Say what is set for a name server and has no effect."""
    if config.ns_bchost is not None and (config.security or settings["SECURITY"]) != "none":
        text = "opens nothing under security keys, as only plain Pyro5 programs search so; write null, or security: none"
        say(f"{config.blame('ns_bchost', text)}")


def _serve_all(configs: Mapping[str, Any], *, strict: bool, as_json: bool) -> None:
    from agentlab.runtime.nsgroup import NameServerGroup

    with NameServerGroup(configs.values()) as group, stopped_by_signals(group.stop):
        group.start(None if strict else lambda served: _report(served, configs, as_json=as_json))
        for error in group.failed.values():
            for line in str(error).splitlines():
                say(line)
        if not group.served or (strict and group.failed):
            raise typer.Exit(MISTAKE)
        if strict:  # all of them, or none
            for served in group.served.values():
                _report(served, configs, as_json=as_json)
        group.wait(lambda name, code: say(f"name server {name!r} has ended by itself, with exit code {code}"))
    _ended(as_json=as_json)
    if group.crashed or group.failed:
        raise typer.Exit(FAILED if group.crashed else MISTAKE)


def _report(served: Served, configs: Mapping[str, Any], *, as_json: bool) -> None:
    remark = f"instead of at port {served.instead_of}, which {served.holder} has" if served.holder else ""
    _ready(str(served.address), served.name, remark, as_json=as_json)
    _warn(configs[served.name])


def _ready(address: str, name: str | None = None, remark: str = "", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"name": name, "address": address, "remark": remark}), flush=True)
        return
    called = f" {name}" if name is not None else ""
    remark = f" ({remark})" if remark else ""
    print(f"name server{called} at {address}{remark}; for other programs: export {NAMESERVER_VARIABLE}={address}", flush=True)


def _ended(*, as_json: bool) -> None:
    if not as_json:
        print("name server has ended", flush=True)
