"""One instrument, read and set with units. The device is simulated; a real one differs in one line."""

from agentlab import LimitError, UnitError, run_nameserver
from agentlab.instruments import run_instrument


def main():
    ns = run_nameserver()
    supply = run_instrument("supply", "agentlab.instruments.simulated:PowerSupply")

    supply.voltage = 5  # in the parameter's unit
    supply.output = True
    print("set:", supply.get("voltage"))
    supply.voltage = "500 mV"  # in another unit
    print("set:", supply.get("voltage"))

    measured = supply.get("measured_voltage")
    print(f"measured: {measured.value:.1f} {measured.unit}, {measured.quality}")

    try:
        supply.voltage = 31
    except LimitError as error:
        print("refused:", error)
    try:
        supply.voltage = "3 A"
    except UnitError as error:
        print("refused:", error)
    try:
        print(supply.volatge)
    except AttributeError as error:
        print("a slip:", str(error).partition("?")[0])

    for parameter in supply.describe()["parameters"]:
        print(f"{parameter['name']:<17} {parameter.get('unit', ''):<2} {parameter['doc']}")

    ns.shutdown()


if __name__ == "__main__":
    main()
