from agentlab import run_agent, run_nameserver


def ignore(agent, message):
    pass


ns = run_nameserver()
alice = run_agent("Alice")
bob = run_agent("Bob", transport="tcp")

print(alice.bind("PUSH", alias="files").transport)
print(bob.bind("PUSH", alias="network").transport)

address = alice.bind("PULL", alias="in", handler=ignore, transport="tcp", addr="127.0.0.1")
print(address.kind, address.role, address.serializer, address.address.host)
print(address.twin().kind, address.twin().role)

bob.connect(address, alias="out")
print(bob.addr("out") == address.twin(), sorted(bob.sockets()))

bob.close("out")
print(bob.has_socket("out"))

ns.shutdown()
