"""A reply that comes after its timeout. PyVISA takes it for the answer to the next question; here it is dropped."""

import time

import pyvisa

from agentlab import DeviceTimeoutError
from agentlab.instruments import ScpiDevice
from agentlab.testing.transcript import Transcript, late

TABLE = {"voltage": {"get": "VOLT?", "unit": "V"}, "current": {"get": "CURR?", "unit": "A"}}
DEVICE = [("*IDN?", "ACME,Supply"), ("VOLT?", late("5.0", 0.3)), ("CURR?", "0.1")]  # the device thinks for 0.3 s


def main():
    with Transcript(DEVICE).serve() as server:
        manager = pyvisa.ResourceManager("@py")
        supply = manager.open_resource(server.address, read_termination="\n", write_termination="\n", timeout=100)  # ms
        try:
            supply.query("VOLT?")
        except pyvisa.VisaIOError:
            print("PyVISA: no voltage within 100 ms")
        time.sleep(0.4)
        print("PyVISA: the current is", supply.query("CURR?"))  # the voltage
        manager.close()

    with Transcript(DEVICE).serve() as server, ScpiDevice(server.address, TABLE, timeout=0.1) as supply:
        try:
            print(supply.voltage)
        except DeviceTimeoutError:
            print("ScpiDevice: no voltage within 100 ms")
        time.sleep(0.4)
        print("ScpiDevice: the current is", supply.current)


if __name__ == "__main__":
    main()
