"""A driver of PyMeasure, unchanged. The device behind its socket answers from a transcript."""

from agentlab import LimitError, run_nameserver
from agentlab.instruments import run_instrument
from agentlab.testing.transcript import Transcript

DEVICE = Transcript(
    [
        ("*IDN?", "Keysight Technologies,E36312A,MY0,1.0"),
        ("MEASure:VOLTage? (@1)", "+3.29871E+00"),
        ("VOLT 3.3, (@1)", None),
        ("OUTPut 1, (@1)", None),
    ]
)
UNITS = {"ch_1.voltage": {"unit": "V"}, "ch_1.voltage_setpoint": {"unit": "V", "max": 5}}  # this driver does not tell units


def main():
    ns = run_nameserver()
    with DEVICE.serve() as server:
        supply = run_instrument(
            "supply",
            "pymeasure.instruments.keysight:KeysightE36312A",
            server.address,
            overrides=UNITS,
            visa_library="@py",
            read_termination="\n",
            write_termination="\n",
        )
        print("channel 1 has:", [name.removeprefix("ch_1.") for name in supply if name.startswith("ch_1")])
        supply.ch_1.voltage_setpoint = 3.3
        supply.ch_1.output_enabled = True
        print("measured:", supply.get("ch_1.voltage"))
        try:
            supply.ch_1.voltage_setpoint = 5.5
        except LimitError as error:
            print("refused:", error)
        ns.shutdown()
    print("the device was told:", [command for command in DEVICE.received if command != "*IDN?"])


if __name__ == "__main__":
    main()
