from pathlib import Path

from agentlab.instruments import ScpiDevice
from agentlab.instruments.simulated import run_simulated
from agentlab.testing.transcript import Transcript, record

with run_simulated(["supply"]) as bench:  # a real device works likewise
    table = bench.tables["supply"]
    with record(bench.addresses["supply"], "supply.txt") as address, ScpiDevice(address, table) as supply:
        supply.voltage = 3
        print(supply.voltage)

print(Path("supply.txt").read_text("utf-8"))
with Transcript.from_file("supply.txt").serve() as device, ScpiDevice(device.address, table) as supply:
    supply.voltage = 3  # without the device
    print(supply.voltage)
