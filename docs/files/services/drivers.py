class Stage:
    """A driver like any other: no decorator, no base class, nothing of agentlab."""

    def __init__(self, port="COM3"):
        self.port = port
        self._position = 0.0

    def move(self, millimetres):
        self._position += millimetres
        return self._position

    @property
    def position(self):
        return self._position

    def close(self):
        print("the port", self.port, "is free again")
