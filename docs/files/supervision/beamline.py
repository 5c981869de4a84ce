from agentlab import Agent


class Camera(Agent):
    binds = {"frames": "PUB"}


class Fit(Agent):
    binds = {"results": "PUB"}

    def on_frame(self, frame):
        with self.busy():  # this may take a minute, and is no hang
            result = self.long_fit(frame)
        self.send("results", result)

    def long_fit(self, frame):
        return sum(frame)


class Plot(Agent):
    def on_result(self, result):
        print(result)
