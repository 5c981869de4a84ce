"""A driver of QCoDeS, unchanged, on the simulation that QCoDeS brings along for it."""

from agentlab import LimitError, run_nameserver
from agentlab.instruments import run_instrument


def main():
    ns = run_nameserver()
    lake = run_instrument(
        "lake",
        "qcodes.instrument_drivers.Lakeshore:LakeshoreModel336",
        "lake",
        "GPIB::2::INSTR",
        pyvisa_sim_file="lakeshore_model336.yaml",
    )
    print("identity:", lake.status()["identity"])
    print("sensor A:", lake.get("A.temperature"))
    print("sensor B:", lake.B.temperature)  # the bare value

    lake.output_1.P = 20
    print("P of output 1:", lake.output_1.P)
    try:
        lake.output_1.P = 2000
    except LimitError as error:
        print("refused:", error)
    ns.shutdown()


if __name__ == "__main__":
    main()
