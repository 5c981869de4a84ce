"""The three agents of the demonstration.

Each is a process of its own. The laser answers requests (REQ/REP) and shows its beam (PUB/SUB), the meter publishes what
it reads (PUB/SUB), the scan asks the one and listens to the other. They find each other by name and alias.
"""

from __future__ import annotations

import random
from typing import TypedDict

from agentlab import Agent, AgentLabError
from agentlab.demo.sample import transmission

LOWEST_NM, HIGHEST_NM = 780.22, 780.26
NOISE_MW = 0.004


class Beam(TypedDict):
    """Light: what the laser publishes when it changes."""

    wavelength_nm: float
    power_mw: float


class Laser(Agent):
    """A tunable laser, simulated.

    Sockets: ``control`` (REP) takes a wavelength in nm and answers the one that was reached; ``beam`` (PUB) publishes a
    :class:`Beam` whenever it changes.

    Attributes:
        wavelength_nm: Wavelength in vacuum, nm.
        power_mw: Power, milliwatt.
    """

    def on_init(self) -> None:
        """Switch on, in the middle of the range."""
        self.wavelength_nm = (LOWEST_NM + HIGHEST_NM) / 2
        self.power_mw = 1.0
        self.bind("REP", alias="control", handler=self.tune)
        self.bind("PUB", alias="beam")

    def tune(self, wavelength_nm: float) -> float:
        """Go to a wavelength.

        Args:
            wavelength_nm: nm, between 780.22 and 780.26.

        Returns:
            The wavelength that was reached, nm: the laser moves in steps of 0.1 pm.

        Raises:
            ValueError: the laser cannot go there. Whoever asked gets this very error.
        """
        if not LOWEST_NM <= wavelength_nm <= HIGHEST_NM:
            raise ValueError(f"{wavelength_nm:g} nm is out of the laser's range; choose {LOWEST_NM:g} to {HIGHEST_NM:g} nm")
        self.wavelength_nm = round(wavelength_nm, 4)
        self.send("beam", Beam(wavelength_nm=self.wavelength_nm, power_mw=self.power_mw))
        return self.wavelength_nm


class PowerMeter(Agent):
    """A power meter behind a cell with rubidium vapour, simulated.

    Sockets: ``beam`` (SUB) is where the light comes in; ``power`` (PUB) publishes a :class:`Beam` for each measurement,
    with the power that passed the cell.

    Attributes:
        seed: Seed of the noise: the same seed gives the same noise.
        integration_s: Seconds that a measurement takes.
    """

    seed: int
    integration_s: float

    def on_init(self) -> None:
        """Look into the laser's beam."""
        self._noise = random.Random(self.seed)  # noqa: S311 - noise, no secret
        self.bind("PUB", alias="power")
        self.connect(("Laser", "beam"), alias="beam", handler=self.measure)

    def measure(self, beam: Beam) -> None:
        """Measure the light; the result comes when the integration is over, and until then the loop is free."""
        self.after(self.integration_s, self.publish, beam)

    def publish(self, beam: Beam) -> None:
        """Publish what was measured."""
        power = beam["power_mw"] * transmission(beam["wavelength_nm"]) + self._noise.gauss(0.0, NOISE_MW)
        self.send("power", Beam(wavelength_nm=beam["wavelength_nm"], power_mw=round(power, 5)))


class Scan(Agent):
    """Steps the laser through a range and notes the power at each step.

    Sockets: ``laser`` (REQ) tunes the laser; ``power`` (SUB) brings the meter's readings.
    """

    def on_init(self) -> None:
        """Connect to laser and meter."""
        self._steps: list[float] = []
        self._spectrum: list[tuple[float, float]] = []
        self._problem: str | None = None
        self.connect(("Laser", "control"), alias="laser")
        self.connect(("PowerMeter", "power"), alias="power", handler=self.note)

    def start(self, start_nm: float, stop_nm: float, points: int) -> None:
        """Begin to scan; returns at once.

        Args:
            start_nm: First wavelength, nm.
            stop_nm: Last wavelength, nm.
            points: How many points, two at least.
        """
        self._steps = [start_nm + (stop_nm - start_nm) * i / (points - 1) for i in range(points)]
        self._spectrum, self._problem = [], None
        self.step()

    def step(self) -> None:
        """Tune the laser to the next wavelength."""
        try:
            self._expected_nm = self.send_recv("laser", self._steps[len(self._spectrum)], timeout=2.0)
        except (AgentLabError, ValueError) as error:  # no answer, or the laser's refusal
            self._problem = f"the laser was not tuned: {error}"

    def note(self, reading: Beam) -> None:
        """Note a reading of this step, and go on to the next."""
        if reading["wavelength_nm"] != self._expected_nm:
            return  # somebody else tuned the laser meanwhile
        self._spectrum.append((reading["wavelength_nm"], reading["power_mw"]))
        if len(self._spectrum) < len(self._steps):
            self.step()

    def progress(self) -> tuple[int, int, str | None]:
        """Give how many points are done, how many there are, and what went wrong, if anything."""
        return len(self._spectrum), len(self._steps), self._problem

    def spectrum(self) -> list[tuple[float, float]]:
        """Give the points so far: (wavelength in nm, power in mW), in the order taken."""
        return self._spectrum
