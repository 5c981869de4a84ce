"""Push-pull: one agent sends, another one receives; a handler function gets each message.

Whoever binds gives the address, whoever connects uses it. Either side may bind; the side that receives needs a handler.
"""

from agentlab import run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


def save(agent, message):
    agent.powers.append(message)


def main():
    ns = run_nameserver()
    laser = run_agent("Laser")
    meter = run_agent("Meter", attributes={"powers": []})

    address = laser.bind("PUSH", alias="power")
    meter.connect(address, handler=save)

    for power in (0.5, 1.0, 1.5):
        laser.send("power", power)

    wait_agent_attr(meter, "powers", length=3)  # messages travel while this script goes on
    print("received:", meter.powers)

    ns.shutdown()


if __name__ == "__main__":
    main()
