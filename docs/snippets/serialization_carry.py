from agentlab import SerializationError, run_agent, run_nameserver


def echo(agent, message):
    return message


ns = run_nameserver()
server, client = run_agent("Server"), run_agent("Client")

for name in ("pickle", "json", "msgpack", "raw"):
    client.connect(server.bind("REP", handler=echo, serializer=name), alias=name)

for message in ({"a": (1, 2)}, b"bytes", {1, 2}):
    for name in ("pickle", "json", "msgpack", "raw"):
        try:
            reply = repr(client.send_recv(name, message))
        except SerializationError:
            reply = "refused"
        print(f"{message!r:16} {name:8} {reply}")

ns.shutdown()
