"""The bench device as a PyMeasure instrument."""

from __future__ import annotations

from pymeasure.instruments import Instrument, SCPIMixin
from pymeasure.instruments.validators import strict_range


class MeasureBench(SCPIMixin, Instrument):
    """The bench supply."""

    voltage = Instrument.control(
        "VOLT?",
        "VOLT %g",
        "Control the output voltage in Volts (float strictly from 0 to 30).",
        validator=strict_range,
        values=[0, 30],
    )
    current = Instrument.measurement("CURR?", "Get the output current in Amps.")
    late = Instrument.measurement("LATE?", "Get a reading that is never there in time, in Volts.")

    def __init__(self, adapter, name="bench", **kwargs):
        super().__init__(adapter, name, read_termination="\n", write_termination="\n", **kwargs)

    def echo(self, text):
        """Give back `text`."""
        return self.ask(f"ECHO? {text}")

    def slow(self, seconds):
        """Take some seconds."""
        connection, before = self.adapter.connection, self.adapter.connection.timeout
        connection.timeout = (seconds + 1.0) * 1000
        try:
            return float(self.ask(f"SLOW? {seconds:g}"))
        finally:
            connection.timeout = before

    def shutdown(self):
        """Take the voltage away."""
        self.voltage = 0
        super().shutdown()
