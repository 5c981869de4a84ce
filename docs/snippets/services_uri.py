import socket

from agentlab import ConnectionLostError, Proxy, Service, run_daemon


class Counter:
    def __init__(self):
        self.count = 0

    def add(self):
        self.count += 1
        return self.count

    def wait(self):
        import time

        time.sleep(60)


with socket.socket() as probe:  # you would simply choose a port
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]

services = [Service(Counter, name="counter")]
first = run_daemon("bench", services, port=port)
counter = Proxy(f"PYRO:counter@localhost:{port}")  # no name server is asked
print(counter.add(), counter.add())

waiting = counter.future.wait()
while not counter.info()["running"]:
    pass
first.kill()
try:
    waiting.result()
except ConnectionLostError as error:
    print("the call may have run:", "may have run" in str(error))

second = run_daemon("bench", services, port=port)
print(counter.add())  # the same proxy, another object
second.shutdown()
