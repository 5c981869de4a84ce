from agentlab import Proxy, run_agent, run_nameserver


def add(agent, number):
    agent.sum += number
    return agent.sum


def ask(agent, other):
    return f"{agent.name} asked {other.name}: {other.add(5)}"


ns = run_nameserver()
alice = run_agent("Alice", attributes={"sum": 0})
bob = run_agent("Bob")

alice.set_method(add, double=lambda agent: add(agent, agent.sum))
alice.add(1)
print(alice.double())

print(alice.execute_as_function(max, 3, 7))
print(bob.execute_as_method(ask, alice))

again = Proxy("Alice")
print(again == alice, again.sum)

ns.shutdown()
