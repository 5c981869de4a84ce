"""How many objects a service has: one for all clients, one for each client, or a new one for each call."""

from concurrent.futures import ThreadPoolExecutor
from time import sleep

from agentlab import Proxy, Service, run_daemon, run_nameserver


class Counter:
    def __init__(self):
        self.count = 0

    def add(self):
        count = self.count
        sleep(0.0001)  # what runs side by side here would lose counts
        self.count = count + 1
        return self.count


def hundred(name):
    with Proxy(name) as counter:  # each thread is a client of its own
        return [counter.add() for _ in range(100)][-1]


def main():
    ns = run_nameserver()
    modes = ["single", "session", "percall"]
    daemon = run_daemon("counters", [Service(Counter, mode, instancemode=mode) for mode in modes])

    for mode in modes:
        with ThreadPoolExecutor() as clients:
            last = sorted(clients.map(hundred, [mode] * 4))
        print(f"{mode}: the four clients counted to", last if mode != "single" else f"{last[-1]} together")

    with Proxy("single") as counter:
        print("the one object still has", counter.count)
    print("objects left:", {name: row["instances"] for name, row in daemon.services().items()})

    daemon.shutdown()
    ns.shutdown()


if __name__ == "__main__":
    main()
