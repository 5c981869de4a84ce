from agentlab import Agent, run_agent


class Laser(Agent):
    def on_init(self):
        self.wavelength = 1550.0

    def tune(self, wavelength):
        self.wavelength = wavelength
        return f"at {wavelength} nm"


run_agent("Laser", base=Laser)
input("The laser runs. Press Enter to end.\n")
