from agentlab import Agent, NameServer, run_agent
from agentlab.testing import wait_agent_attr, wait_condition


class Source(Agent):
    def on_init(self):
        self.bind("PUSH", alias="out")


class Sink(Agent):
    def on_init(self):
        self.got = []
        self.connect(("Source", "out"), handler=self.got.append)


server = NameServer()
address = server.start()
source, sink = run_agent("Source", base=Source), run_agent("Sink", base=Sink)

server.kill()
server.join()
source.send("out", "while nobody knows any name")
wait_agent_attr(sink, "got", length=1)

server = NameServer(address)
server.start()
wait_condition(lambda: server.proxy().agents() == ["Sink", "Source"], timeout=10)
print("everybody is listed again")

source.shutdown()
source = run_agent("Source", base=Source)
source.send("out", "from another process")
wait_agent_attr(sink, "got", length=2)
print(*sink.got, sep="\n")

server.shutdown()
