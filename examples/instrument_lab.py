"""Instruments of a lab file, simulated: with a history, an interlock rule, and owners."""

import tempfile
from pathlib import Path
from shutil import copy

from agentlab.instruments import History
from agentlab.lab import Lab
from agentlab.testing import wait_condition

FILES = ("instrument_lab.yml", "scpi_table.yml")


def main():
    with tempfile.TemporaryDirectory() as folder:  # for the history
        for name in FILES:
            copy(Path(__file__).with_name(name), folder)
        with Lab.from_file(Path(folder) / "instrument_lab.yml") as lab:
            supply, thermometer = lab["supply"].wait_online(), lab["thermometer"].wait_online()
            print("simulated:", supply.describe()["driver"])
            supply.voltage, supply.output = "250 mV", True
            print("set:", supply.get("voltage"))
            with thermometer.watch("temperature", timeout=5) as readings:
                print(f"sample: {next(readings).value:.0f} K")
            history = History(Path(folder) / "history.sqlite")
            wait_condition(lambda: history.query("thermometer", "temperature"), timeout=5)
            sample = history.query("thermometer", "temperature")[0]
            print("in the history:", round(sample.value), sample.unit, sample.quality)
            print("rule of the supply:", *supply.describe()["interlocks"])
        print("the lab is down")


if __name__ == "__main__":
    main()
