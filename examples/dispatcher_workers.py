"""Dispatcher and workers: workers ask for the next task when they are free, so that none waits for a slow one.

The dispatcher answers requests; a worker asks, works, hands in its result, and asks again until there is no more.
"""

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Dispatcher(Agent):
    def on_init(self):
        self.tasks = list(range(1, 13))
        self.results = {}
        self.bind("REP", alias="next", handler=self.next_task)
        self.bind("PULL", alias="results", handler=self.take)

    def next_task(self, _worker):
        return self.tasks.pop(0) if self.tasks else None

    def take(self, result):
        task, value = result
        self.results[task] = value


class Worker(Agent):
    def on_init(self):
        self.connect(("Dispatcher", "next"), alias="next")
        self.connect(("Dispatcher", "results"), alias="results")

    def work(self):
        done = 0
        while (task := self.send_recv("next", self.name)) is not None:
            self.send("results", (task, task**2))
            done += 1
        return done


def main():
    ns = run_nameserver()
    dispatcher = run_agent("Dispatcher", base=Dispatcher)
    workers = [run_agent(f"Worker {number}", base=Worker) for number in range(3)]

    jobs = [worker.future.work() for worker in workers]  # all at the same time
    print("tasks done:", sum(job.result(timeout=10) for job in jobs))

    wait_agent_attr(dispatcher, "results", length=12)
    print("results:", sorted(dispatcher.results.values()))

    ns.shutdown()


if __name__ == "__main__":
    main()
