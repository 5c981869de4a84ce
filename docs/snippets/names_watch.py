from queue import SimpleQueue

from agentlab import run_agent, run_nameserver

ns = run_nameserver()
run_agent("Alice")

changes = SimpleQueue()
with ns.watch(changes.put):
    print("there already:", changes.get(timeout=5).name)
    bob = run_agent("Bob")
    change = changes.get(timeout=5)
    print(change.kind, change.name)
    bob.shutdown()
    change = changes.get(timeout=5)
    print(change.kind, change.name)

ns.shutdown()
