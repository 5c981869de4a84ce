"""Several programs share an instrument: who owns it may write, everybody may read, and a dead owner loses it."""

import time

from agentlab import Agent, LockedError, Proxy, run_agent, run_nameserver
from agentlab.instruments import run_instrument


class Measurement(Agent):
    """Another program, in a process of its own."""

    def take(self, name):
        self._own = Proxy(name).lock(lease=0.5, reason="measuring over night")  # kept as long as this process lives


def main():
    ns = run_nameserver()
    supply = run_instrument("supply", "agentlab.instruments.simulated:PowerSupply", on_owner_lost="safe")
    somebody_else = Proxy("supply")  # each proxy is a client of its own

    with supply.lock(reason="calibration"):
        supply.voltage, supply.output = 5, True
        try:
            somebody_else.voltage = 20
        except LockedError as error:
            print("refused, for:", error.reason)
        print("reading stays free:", somebody_else.voltage)

    other = run_agent("Other", base=Measurement)
    other.take("supply")
    info = supply.lock_info()
    print("owner:", info["owner"], "for:", info["reason"])
    time.sleep(1)  # twice the lease
    print("idle, and still the owner:", supply.lock_info()["owner"])

    other.oneway.kill()
    began = time.monotonic()
    with supply.lock(timeout=5):
        print("mine", "in time" if time.monotonic() - began < 1.5 else "too late")  # lease + 1 s
        print("output:", supply.output)  # on_owner_lost="safe"
    ns.shutdown()


if __name__ == "__main__":
    main()
