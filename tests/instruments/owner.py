"""A program that locks an instrument, prints the token, and then does nothing at all: it is meant to be killed.

``python -m tests.instruments.owner NAME NSADDR LEASE [SECONDS]``; with seconds it begins a slow action of that length first.
"""

from __future__ import annotations

import sys
import threading

from agentlab import Proxy


def main() -> None:
    """Lock, tell, wait for ever."""
    name, nsaddr, lease = sys.argv[1:4]
    proxy = Proxy(name, nsaddr)
    own = proxy.lock(timeout=5, lease=float(lease), reason="measuring all night")
    if len(sys.argv) > 4:
        _call = proxy.timeout(60).future.slow(float(sys.argv[4]))
    print(own.token, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
