from agentlab import run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


def count(agent, message):
    agent.count += 1


ns = run_nameserver()
source = run_agent("Source")
sink = run_agent("Sink", attributes={"count": 0})

source.bind("PUSH", alias="points", hwm=10_000)
sink.connect(source.addr("points"), handler=count)

source.send_many("points", [{"x": x, "y": x * x} for x in range(5_000)])
wait_agent_attr(sink, "count", value=5_000)
print(sink.count)

ns.shutdown()
