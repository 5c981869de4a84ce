"""Request-reply: one agent asks, another one answers; what the handler returns is the reply.

`send_recv` asks and waits; `send` and `recv` do the same in two steps. An answer that does not come in time is an error.
"""

from agentlab import Agent, MessageTimeoutError, run_agent, run_nameserver


class Stage(Agent):
    def on_init(self):
        self.position = 0.0
        self.bind("REP", alias="move", handler=self.move)

    def move(self, target):
        self.position = target
        return f"at {target} mm"


def main():
    ns = run_nameserver()
    stage = run_agent("Stage", base=Stage)
    scan = run_agent("Scan")
    scan.connect(stage.addr("move"), alias="stage")

    print(scan.send_recv("stage", 5.0))

    scan.send("stage", 7.5)
    print(scan.recv("stage", timeout=3.0))  # without timeout it waits for as long as it takes

    stage.stop()  # its loop ends, so nobody answers
    try:
        scan.send_recv("stage", 10.0, timeout=0.2)
    except MessageTimeoutError:
        print("no answer in time")

    ns.shutdown()


if __name__ == "__main__":
    main()
