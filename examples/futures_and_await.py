"""Futures and await: calls that this script does not wait for, or waits for together.

`proxy.future.method()` gives a future at once, `await proxy.aio.method()` waits in asyncio, `proxy.timeout(s)` limits a
call, and `proxy.oneway` wants no answer at all.
"""

import asyncio
from threading import Event

from agentlab import Agent, CallTimeoutError, run_agent, run_nameserver


class Stage(Agent):
    def on_init(self):
        self.arrived = Event()

    def move(self, target):
        self.arrived.wait(timeout=10.0)
        return f"{self.name} at {target} mm"

    def arrive(self):
        self.arrived.set()


async def move_all(stages):
    return await asyncio.gather(*(stage.aio.move(number) for number, stage in enumerate(stages)))


def main():
    ns = run_nameserver()
    x, y = run_agent("X", base=Stage), run_agent("Y", base=Stage)

    futures = [x.future.move(1.5), y.future.move(2.5)]  # both move now
    print("done at once:", [future.done() for future in futures])

    try:
        x.timeout(0.1).move(3.0)
    except CallTimeoutError:
        print("x takes longer than 0.1 s")

    x.oneway.arrive()
    y.oneway.arrive()
    for future in futures:
        print(future.result(timeout=10))

    print(asyncio.run(move_all([x, y])))

    ns.shutdown()


if __name__ == "__main__":
    main()
