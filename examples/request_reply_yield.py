"""Request-reply with `yield`: the reply goes out at once, and the handler goes on with what takes long.

Here a stage says at once that it moves, so that the one who asked need not wait until it has arrived.
"""

from threading import Event

from agentlab import Agent, run_agent, run_nameserver


class Stage(Agent):
    def on_init(self):
        self.position = 0.0
        self.motor_stopped = Event()
        self.bind("REP", alias="move", handler=self.move)

    def move(self, target):
        yield f"moving to {target} mm"
        self.motor_stopped.wait(timeout=10.0)  # a real stage takes a while
        self.position = target

    def stop_motor(self):
        self.motor_stopped.set()

    def where(self):
        return self.position


def main():
    ns = run_nameserver()
    stage = run_agent("Stage", base=Stage)
    scan = run_agent("Scan")
    scan.connect(stage.addr("move"), alias="stage")

    print("reply:", scan.send_recv("stage", 5.0))
    print("on the way:", stage.position)  # reading an attribute does not wait for the handler

    stage.unsafe.stop_motor()  # nor does an unsafe call: it runs in another thread
    print("arrived:", stage.where())  # a plain call waits for its turn, until the handler is done

    ns.shutdown()


if __name__ == "__main__":
    main()
