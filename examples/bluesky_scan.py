"""An unmodified bluesky RunEngine scans instruments: their parameters are what bluesky calls devices."""

import warnings

from agentlab import run_nameserver
from agentlab.instruments import run_instrument
from agentlab.instruments.simulated import run_simulated

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from bluesky import RunEngine, plans

SCPI = "agentlab.instruments:ScpiDevice"


def main():
    ns = run_nameserver()
    with run_simulated(["laser", "stage", "meter"]) as bench:
        laser, stage, meter = (
            run_instrument(one, SCPI, bench.addresses[one], parameters=bench.tables[one]) for one in bench.ports
        )
        laser.output = True

        engine = RunEngine({})
        points, units = [], {}

        def keep(name, document):
            if name == "event":
                points.append((document["data"]["stage_position"], document["data"]["meter_power"]))
            elif name == "descriptor":
                units.update({key: value["units"] for key, value in document["data_keys"].items()})

        engine.subscribe(keep)
        engine(plans.scan([meter["power"]], stage["position"], 10.5, 14.5, 9))

        print("units:", units)
        for position, power in points:
            print(f"{position:5.1f} {'#' * round(20 * power)}")
        ns.shutdown()


if __name__ == "__main__":
    main()
