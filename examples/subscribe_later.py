"""Subscribing later: topics are added, given another handler and taken back while publications flow.

What nobody asks for is not sent at all: the publisher knows the subscriptions.
"""

from agentlab import run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


def note(agent, message, topic):
    agent.notes.append(f"{topic} {message}")


def shout(agent, message, topic):
    agent.notes.append(f"{topic} {message}!".upper())


def publish(lab, number):
    for topic in ("power", "temperature", "end"):
        lab.send("news", number, topic=topic)


def main():
    ns = run_nameserver()
    lab, desk = run_agent("Lab"), run_agent("Desk", attributes={"notes": []})
    desk.connect(lab.bind("PUB", alias="news"), alias="lab", handler={"power": note, "end": note})
    lab.wait_for_subscribers("news")
    publish(lab, 1)
    wait_agent_attr(desk, "notes", data="end 1")

    desk.subscribe("lab", {"temperature": note, "power": shout})  # one is new, one gets another handler
    lab.wait_for_subscribers("news", topic="temperature")
    publish(lab, 2)
    wait_agent_attr(desk, "notes", data="end 2")

    desk.unsubscribe("lab", ["temperature", "power"])
    publish(lab, 3)
    wait_agent_attr(desk, "notes", data="end 3")

    for line in desk.notes:
        print(line)

    ns.shutdown()


if __name__ == "__main__":
    main()
