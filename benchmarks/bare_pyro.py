"""The bare side of the calls: a Pyro5 daemon as it is by default, on loopback TCP."""

from __future__ import annotations

import threading

import Pyro5.api

from benchmarks.peer import serve


@Pyro5.api.expose
class Echo:
    """One method."""

    def echo(self, value: object) -> object:
        """Give it back."""
        return value


def main() -> None:
    """Serve, and say where."""
    daemon = Pyro5.api.Daemon()
    uri = daemon.register(Echo(), "echo")
    threading.Thread(target=daemon.requestLoop, daemon=True).start()
    serve(None, str(uri))


if __name__ == "__main__":
    main()
