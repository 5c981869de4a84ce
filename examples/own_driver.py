"""Your own class as a driver: annotations tell units and limits, and its actions can be cancelled."""

from typing import Annotated

from agentlab import CancelledCallError, run_nameserver
from agentlab.instruments import Choices, Device, Range, Unit, run_instrument
from agentlab.testing import wait_condition


class Oven(Device):
    """An oven. A real driver would open its port here; it runs in the agent's process."""

    def __init__(self, start=20.0):
        self._temperature = start
        self.mode: Annotated[str, Choices("air", "argon")] = "air"

    @property
    def temperature(self) -> Annotated[float, Unit("degC"), Range(20, 300)]:
        """Temperature inside."""
        return self._temperature

    @temperature.setter
    def temperature(self, value):
        self._temperature = value

    def bake(self, seconds: float = 1.0):
        """Bake a sample."""
        for second in range(100):
            self.progress = second / 100
            self.sleep(seconds / 100)  # ends at once when somebody cancels
        return "done"

    def safe(self):
        """Cool down."""
        self._temperature = 20.0


def main():
    ns = run_nameserver()
    oven = run_instrument("oven", Oven, start=25.0, overrides={"temperature": {"max": 250, "step": 50, "delay": 0.01}})

    oven.temperature = 200  # in steps of 50 degC
    oven.mode = "argon"
    print(oven.get("temperature"), oven.mode, oven.bake(0.1))

    baking = oven.future.bake(60)
    wait_condition(lambda: oven.status()["progress"], timeout=10)
    print("while it bakes:", oven.status()["state"], oven.status()["action"])
    oven.cancel()
    try:
        baking.result()
    except CancelledCallError:
        print("cancelled")
    oven.safe()
    print("made safe:", oven.get("temperature"))
    ns.shutdown()


if __name__ == "__main__":
    main()
