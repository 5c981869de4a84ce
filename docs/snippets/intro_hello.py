from agentlab import run_agent, run_nameserver

ns = run_nameserver()

alice = run_agent("Alice")
alice.log_info("Hello")
print(ns.agents())

ns.shutdown()
