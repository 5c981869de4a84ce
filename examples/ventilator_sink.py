"""Ventilator, workers, sink: work is pushed to workers in turn, and their results are collected in one place.

Push sockets share messages out among those who pull; a pull socket takes from all who push.
"""

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Ventilator(Agent):
    def on_init(self):
        self.bind("PUSH", alias="work")

    def start(self, lines):
        for line in lines:
            self.send("work", line)


class Worker(Agent):
    def on_init(self):
        self.count = 0
        self.connect(("Sink", "results"), alias="results")
        self.connect(("Ventilator", "work"), handler=self.fit)

    def fit(self, line):
        self.count += 1
        self.send("results", sum(line) / len(line))


class Sink(Agent):
    def on_init(self):
        self.results = []
        self.bind("PULL", alias="results", handler=lambda agent, message: agent.results.append(message))


def main():
    ns = run_nameserver()
    ventilator = run_agent("Ventilator", base=Ventilator)
    sink = run_agent("Sink", base=Sink)
    workers = [run_agent(f"Worker {number}", base=Worker) for number in range(4)]

    ventilator.start([[number, number + 2] for number in range(100)])

    wait_agent_attr(sink, "results", length=100)
    print("results:", len(sink.results), "sum:", sum(sink.results))
    print("done by all workers together:", sum(worker.count for worker in workers))

    ns.shutdown()


if __name__ == "__main__":
    main()
