"""The bench device as a QCoDeS instrument."""

from __future__ import annotations

from qcodes.instrument import VisaInstrument
from qcodes.validators import Numbers


class CodesBench(VisaInstrument):
    """The bench supply."""

    default_terminator = "\n"

    def __init__(self, name, address, **kwargs):
        super().__init__(name, address, device_clear=False, **kwargs)
        self.voltage = self.add_parameter(
            "voltage",
            get_cmd="VOLT?",
            set_cmd="VOLT {:g}",
            get_parser=float,
            unit="V",
            vals=Numbers(0, 30),
            label="Output voltage",
        )
        self.current = self.add_parameter("current", get_cmd="CURR?", get_parser=float, unit="A")
        self.late = self.add_parameter("late", get_cmd="LATE?", get_parser=float, unit="V")

    def echo(self, text: str) -> str:
        """Give back `text`."""
        return self.ask(f"ECHO? {text}")

    def slow(self, seconds: float) -> float:
        """Take some seconds."""
        with self.timeout.set_to(seconds + 1.0):
            return float(self.ask(f"SLOW? {seconds:g}"))
