from agentlab import run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


def note(agent, message):
    agent.notes.append(message)


ns = run_nameserver()
alice = run_agent("Alice")
bob = run_agent("Bob", attributes={"notes": []})

address = alice.bind("PUSH", alias="main")
bob.connect(address, handler=note)

alice.send("main", "Hello, Bob")
alice.send("main", {"how": "are you?"})

wait_agent_attr(bob, "notes", length=2)
print(bob.notes)

ns.shutdown()
