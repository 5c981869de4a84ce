"""A scan that is kept while it is measured: its process is killed, and another one goes on with it."""

import tempfile
from pathlib import Path

from agentlab import Agent, Proxy, run_agent, run_nameserver
from agentlab.instruments import run_instrument, sweep
from agentlab.runs import RunStore
from agentlab.testing import wait_condition

VOLTAGES = range(0, 31, 2)


def scan(supply, store, **how):
    reads = [supply["measured_voltage"], supply["measured_current"]]
    return sweep(supply["voltage"], VOLTAGES, reads=reads, name="load", store=store, progress=False, **how)


class Measurement(Agent):
    def measure(self, path):
        scan(Proxy("supply"), path, delay=0.1)


def main():
    ns = run_nameserver()
    supply = run_instrument("supply", "agentlab.instruments.simulated:PowerSupply")
    supply.output, supply.current = True, 2

    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs.sqlite")
        measurement = run_agent("Measurement", base=Measurement)
        measurement.oneway.measure(str(store.path))
        wait_condition(lambda: store.find("last") and len(store.run("last")) >= 3, timeout=10)  # readers see rows as they come
        measurement.oneway.kill()
        wait_condition(lambda: store.run("last").state == "aborted", timeout=10)
        kept = store.run("last")
        print(kept.state, "with 3 points or more:", len(kept) >= 3, "current limit:", kept.snapshot["supply"]["current"]["value"])

        run = scan(supply, store, resume="last", until="supply.measured_current > 1.9 A")
        print(run.state, len(run), "points of", len(VOLTAGES), run.info.reason)
        print("current at 10 V:", round(float(run.data["supply.measured_current"][5]), 2), run.columns[-1].unit)

        print(run.to_csv(Path(folder) / "load.csv").read_text("utf-8").splitlines()[0])
        print("picture:", run.plot(Path(folder) / "load.png").size, "pixels")

        other = run_instrument("other", "agentlab.instruments.simulated:PowerSupply")
        grid = sweep((supply["voltage"], [1, 2]), (other["voltage"], [1, 2, 3]), reads=other["output"], snake=True, store=store)
        print("two axes:", [(row["supply.voltage"], row["other.voltage"]) for row in grid.rows()])
    ns.shutdown()


if __name__ == "__main__":
    main()
