from agentlab import Proxy, Service, run_daemon, run_nameserver


class Stage:
    def __init__(self, limit=10.0):
        self._limit = limit
        self._position = 0.0

    def move(self, millimetres):
        if abs(self._position + millimetres) > self._limit:
            raise ValueError(f"{millimetres} mm is too far")
        self._position += millimetres
        return self._position

    @property
    def position(self):
        return self._position


class Broken:
    def __init__(self):
        raise OSError("no such device")

    def read(self):
        return 1.0


ns = run_nameserver()
stage = Service(Stage, name="stage", parameters={"limit": 25.0})
with run_daemon("optics", [stage, Service(Broken, name="camera")]) as daemon:
    for name, row in daemon.services().items():
        print(f"{name} {row['state']} {row['reason']}".strip())

    with Proxy("stage") as stage:  # by its name; any program does this
        print(stage.move(12.5), stage.position)
        try:
            stage.move(20)
        except ValueError as error:
            print("refused:", error)
    print(sorted(ns.list(prefix="s")))
print(sorted(ns.list(prefix="s")))
ns.shutdown()
