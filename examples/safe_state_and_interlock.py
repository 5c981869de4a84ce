"""A safe state that is latched, interlock rules, and a watchdog: all in the instrument's own agent."""

from agentlab import LatchedError, run_nameserver
from agentlab.instruments import run_instrument
from agentlab.instruments.simulated import run_simulated
from agentlab.testing import wait_condition

SCPI = "agentlab.instruments:ScpiDevice"
WARM = "thermometer.temperature > 23 degC -> heater.safe()"
HOT = "thermometer.temperature > 400 K -> supply.safe()"


def latch(instrument):
    return instrument.status()["latch"]


def main():
    ns = run_nameserver()
    with run_simulated(["heater", "thermometer"]) as bench:
        address, table = bench.addresses, bench.tables
        run_instrument("thermometer", SCPI, address["thermometer"], parameters=table["thermometer"], poll={"temperature": 0.05})
        heater = run_instrument("heater", SCPI, address["heater"], parameters=table["heater"], interlocks=[WARM])
        supply = run_instrument("supply", "agentlab.instruments.simulated:PowerSupply", interlocks=[HOT], watchdog=0.5)

        heater.power, heater.output = 50, True  # warms it by 2.5 K per second
        wait_condition(lambda: latch(heater), timeout=10)
        print("latched by:", latch(heater)["by"])
        print("heater:", heater.output)
        try:
            heater.output = True
        except LatchedError as error:
            print("refused:", type(error).__name__)
        print("reading stays free:", heater.power, "W")

        supply.output = True
        supply.kick()
        wait_condition(lambda: latch(supply), timeout=10)  # nobody kicks again
        print("supply:", supply.output, "-", latch(supply)["reason"])
        print("reset:", supply.reset()["reset"])

        bench.unplug("thermometer")  # nobody knows the temperature any more
        wait_condition(lambda: latch(supply), timeout=10)
        print("supply:", latch(supply)["reason"])

        try:
            supply.reset()
        except LatchedError:
            print("reset: refused, as nobody knows it yet")
        print("emergency stop:", supply.estop("smoke", within=2)["state"])
        ns.shutdown()


if __name__ == "__main__":
    main()
