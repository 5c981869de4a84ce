import time

from agentlab import run_agent, run_nameserver
from agentlab.testing import agent_dies

ns = run_nameserver()
alice = run_agent("Alice")

print(alice.stop())
print(alice.is_running(), ns.agents())
alice.run()
print(alice.is_running())

alice.shutdown()
print("name gone:", agent_dies("Alice", ns))

stuck = run_agent("Stuck")
stuck.future.execute_as_function(time.sleep, 3600)
stuck.oneway.kill()
print("name gone:", agent_dies("Stuck", ns))

ns.shutdown()
