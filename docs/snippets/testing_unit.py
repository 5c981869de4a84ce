from agentlab import Agent


class Scale(Agent):
    def on_init(self):
        self.offset = 0.0

    def tare(self, weight):
        self.offset = weight

    def net(self, weight):
        return weight - self.offset


def test_the_tare_is_taken_off():
    scale = Scale("Scale")
    scale.on_init()
    scale.tare(2.0)
    assert scale.net(5.0) == 3.0
