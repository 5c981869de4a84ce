"""An instrument without code: a YAML table says which commands the device understands."""

from pathlib import Path

from agentlab import LimitError, run_nameserver
from agentlab.instruments import ScpiDevice, run_instrument
from agentlab.instruments.simulated import run_simulated

TABLE = Path(__file__).with_name("scpi_table.yml")


def main():
    with run_simulated({"psu": "supply"}) as bench:  # a SCPI device behind a TCP socket, in a process of its own
        address = bench.addresses["psu"]
        print("address:", address.replace(str(bench.ports["psu"]), "PORT"))

        with ScpiDevice(address, TABLE) as psu:  # in a script, without any agent
            psu.voltage = 2
            print("in a script:", psu.query("*IDN?"), psu.voltage)

        ns = run_nameserver()
        psu = run_instrument("psu", "agentlab.instruments:ScpiDevice", address, parameters=TABLE)
        psu.output = True
        psu.voltage = "7.5 V"
        with psu.watch("flowing", timeout=5) as readings:
            current = next(reading for reading in readings if reading.value > 0.7)
        print(f"published: {current.name} = {current.value:.2f} {current.unit}")
        try:
            psu.voltage = 20
        except LimitError as error:
            print("refused:", error)
        print("errors of the device:", psu.next_error())
        ns.shutdown()  # the output goes off: the table's safe state

        with ScpiDevice(address, TABLE) as psu:
            print("afterwards:", psu.output, psu.voltage)


if __name__ == "__main__":
    main()
