"""A pipeline that heals: one worker is killed, another one hangs, and the results go on coming.

Who runs, who sends to whom and who is started again stands in ``supervised_pipeline.yml``, beside this file.
"""

import queue
import time
from pathlib import Path

from agentlab import Agent
from agentlab.lab import Lab


class Source(Agent):
    binds = {"tasks": "PUB"}

    def before_loop(self):
        self.each(0.02, lambda agent: agent.send("tasks", time.time()))


class Worker(Agent):
    binds = {"results": "PUB"}
    stuck = False

    def on_task(self, task):
        if self.stuck:
            time.sleep(60)  # like a driver that does not come back; `with self.busy():` around it would excuse it
        self.send("results", (self.name, task))


class Sink(Agent):
    received = ()

    def on_result(self, result):
        self.received = (*self.received, result)


def wait_for(events, unit, *wanted):
    for name in wanted:
        while (event := events.get(timeout=10))["unit"] != unit or event["event"] != name:
            pass
        print(" ", name, event["text"].partition(" for ")[0])  # for how long differs


def main():
    events = queue.Queue()
    with Lab.from_file(Path(__file__).with_suffix(".yml"), on_event=events.put) as lab:
        print("running:", *(row["name"] for row in lab.status() if row["kind"] == "agent"))
        print("Worker1 is killed")
        lab["Worker1"].oneway.kill()
        wait_for(events, "agent/Worker1", "crashed", "restarting", "ready")
        print("Worker2 hangs")
        lab["Worker2"].stuck = True
        wait_for(events, "agent/Worker2", "hung", "restarting", "ready")
        for row in (row for row in lab.status() if row["restarts"]):
            print(row["name"], row["state"], "restarts:", row["restarts"])


if __name__ == "__main__":
    main()
