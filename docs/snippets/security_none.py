from agentlab import Agent, RefusedError, config, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr

config["SECURITY"] = "none"
config["SERIALIZER"] = "json"


class Sink(Agent):
    def on_init(self):
        self.got = []

    def take(self, message):
        self.got.append(message)


ns = run_nameserver()
source, sink = run_agent("Source"), run_agent("Sink", base=Sink)

address = source.bind("PUSH", alias="numbers", transport="tcp", addr="127.0.0.1")
print(address.transport, address.kind, address.serializer)

sink.connect(("Source", "numbers"), handler="take")
source.send("numbers", [1, 2, 3])
wait_agent_attr(sink, "got", length=1)
print(sink.got)

try:
    source.set_method(lambda agent: 1)
except RefusedError:
    print("functions do not travel")

ns.shutdown()
