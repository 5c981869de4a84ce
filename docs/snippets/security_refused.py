from agentlab import RefusedError, run_agent, run_nameserver

ns = run_nameserver()
alice = run_agent("Alice")

try:
    alice.bind("PUSH", alias="open", transport="tcp", addr="0.0.0.0")
except RefusedError as error:
    print(error)

print(alice.bind("PUSH", alias="closed", transport="tcp").address.host)

ns.shutdown()
