"""A process that runs a sinstruments server and takes orders on its standard input, one JSON text a line.

``python -m tests.instruments.serve_sinstruments '[{"name": "b0", "class": "Bench", "package": "…"}, …]'`` prints one line,
``{"b0": 41234, …}``: the ports on loopback. It ends when its standard input ends, so with its parent.

Orders: ``["unplug", name]`` closes the port and every connection, ``["plug", name]`` opens the same port again,
``["heard", name]`` gives what the device was told since the last reset, ``["reset", name]``,
``["arm", name, question, kind, seconds]``, ``["set", name, key, value]``, ``["value", name, key]``.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from gevent.fileobject import FileObject
from sinstruments.simulator import Server, TCPServer, load_device_registry


class Plugs:
    """The devices of one server, each on one port that can be closed and opened again."""

    def __init__(self, devices: list[dict[str, Any]]) -> None:
        for device in devices:
            device["transports"] = [{"type": "tcp", "url": ["127.0.0.1", 0]}]
        self.server = Server(devices=devices, registry=load_device_registry())
        for device in self.server.devices.values():
            device.transports[0].start()
        self.ports = {name: device.transports[0].server_port for name, device in self.server.devices.items()}

    def unplug(self, name: str) -> None:
        transport = self.server.devices[name].transports[0]
        for connection in list(transport.connections.values()):
            connection.shutdown(socket.SHUT_RDWR)  # its handler holds a file of it, so closing alone would close nothing
        transport.stop(timeout=0)

    def plug(self, name: str) -> None:
        device = self.server.devices[name]
        transport = TCPServer(name, device.get_protocol, url=("127.0.0.1", self.ports[name]))
        transport.reuse_addr = 1
        device.transports = [transport]
        transport.start()

    def heard(self, name: str) -> list[str]:
        return self.server.devices[name].heard

    def reset(self, name: str) -> None:
        self.server.devices[name].reset()

    def arm(self, name: str, question: str, kind: str, seconds: float = 0.0) -> None:
        self.server.devices[name].arm(question, kind, seconds)

    def set(self, name: str, key: str, value: Any) -> None:
        setattr(self.server.devices[name], key, value)

    def value(self, name: str, key: str) -> Any:
        return self.server.devices[name].values[key]


def main() -> None:
    """Serve until the standard input ends."""
    plugs = Plugs(json.loads(sys.argv[1]))
    print(json.dumps(plugs.ports), flush=True)
    for line in FileObject(sys.stdin.buffer.raw, "rb"):
        order, *arguments = json.loads(line)
        try:
            answer = {"value": getattr(plugs, order)(*arguments)}
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
