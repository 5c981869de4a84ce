from agentlab import Agent, AgentAddress, RefusedError, config, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr

config["SECURITY"] = "none"
config["SERIALIZER"] = "json"


class Source(Agent):
    def on_init(self):
        self.bind("PUSH", alias="numbers", transport="tcp", addr="127.0.0.1")

    def where(self):
        return str(self.addr("numbers").address)


class Sink(Agent):
    def listen(self, place):
        self.got = []
        self.connect(AgentAddress("tcp", place, "PUSH", "server", "json"), handler=self.got.append)


ns = run_nameserver()
source, sink = run_agent("Source", base=Source), run_agent("Sink", base=Sink)

sink.listen(source.where())
source.send("numbers", [1, 2, 3], timeout=5)
wait_agent_attr(sink, "got", length=1)
print(sink.got)

try:
    source.set_method(lambda agent: 1)
except RefusedError:
    print("functions do not travel")

ns.shutdown()
