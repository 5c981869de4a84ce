"""Serializers: how a message is written is chosen with each socket that binds; who connects follows.

raw takes bytes, for other programs of ZeroMQ; json and msgpack other languages can read; pickle takes nearly any object
of Python and is the default; cloudpickle and dill take functions and local classes, too.
"""

from agentlab import SerializationError, run_agent, run_nameserver

MESSAGES = {
    "raw": b"*IDN?",
    "json": {"power": 1.5, "range": (0, 2)},
    "msgpack": {"power": 1.5, "image": b"\x00\xff"},
    "pickle": {"power": 1.5 + 2j, "range": (0, 2)},
    "cloudpickle": lambda power: 2 * power,
    "dill": lambda power: 3 * power,
}


def describe(_agent, message):
    if callable(message):
        return message
    return message if isinstance(message, bytes) else dict(message)


def main():
    ns = run_nameserver()
    meter, scan = run_agent("Meter"), run_agent("Scan")

    for serializer, message in MESSAGES.items():
        address = meter.bind("REP", handler=describe, serializer=serializer)
        scan.connect(address, alias=serializer)
        reply = scan.send_recv(serializer, message)
        print(f"{serializer}: {reply(21) if callable(reply) else reply}")

    try:
        scan.send_recv("json", {1, 2, 3})
    except SerializationError as error:
        print("json cannot write a set:", type(error).__name__)

    ns.shutdown()


if __name__ == "__main__":
    main()
