"""Handlers of all forms: functions, lambdas, lists of them, the name of a method, and any callable.

Functions travel to the agent's process, with what they refer to. They get the agent first, then the message.
"""

from agentlab import run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


def to_dbm(agent, milliwatts):
    agent.dbm.append(round(10 * agent.log10(milliwatts), 2))


def main():
    ns = run_nameserver()
    laser = run_agent("Laser")
    meter = run_agent("Meter", attributes={"milliwatts": [], "dbm": [], "total": 0})

    offset = 1  # a lambda may use what is around it
    meter.set_method(log10=lambda _agent, value: __import__("math").log10(value))
    handlers = [  # PULL takes a list, too: they are run in order
        lambda agent, message: agent.milliwatts.append(message + offset),
        to_dbm,
        lambda agent, message: agent.set_attr(total=agent.total + message),
    ]

    meter.bind("PULL", alias="in", handler=handlers)
    laser.connect(meter.addr("in"), alias="out")
    laser.send_many("out", [1, 10, 100])

    wait_agent_attr(meter, "total", value=111)
    print("with offset:", meter.milliwatts)
    print("in dBm:", meter.dbm)

    # A request answered by a lambda, and by a method given by its name.
    meter.bind("REP", alias="double", handler=lambda _agent, message: 2 * message)
    meter.bind("REP", alias="log", handler="log10")
    laser.connect(meter.addr("double"), alias="double")
    laser.connect(meter.addr("log"), alias="log")
    print("doubled:", laser.send_recv("double", 21))
    print("logarithm:", laser.send_recv("log", 1000))

    ns.shutdown()


if __name__ == "__main__":
    main()
