"""Pub-sub with topics: a publication carries a topic, and a subscriber gets those that begin with what it asked for.

A dict gives each topic its handler. A handler with a third parameter gets the topic, too.
"""

from agentlab import run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


def plot(agent, message):
    agent.plotted.append(message)


def alarm(agent, message, topic):
    agent.alarms.append((topic, message))


def main():
    ns = run_nameserver()
    lab = run_agent("Lab")
    address = lab.bind("PUB", alias="news")

    desk = run_agent("Desk", attributes={"plotted": [], "alarms": []})
    desk.connect(address, handler={"power": plot, "alarm/": alarm})

    everything = run_agent("Archive", attributes={"count": 0})
    everything.connect(address, handler=lambda agent, _: agent.set_attr(count=agent.count + 1))
    lab.wait_for_subscribers("news", 2)

    lab.send("news", 1.25, topic="power")
    lab.send("news", 295.1, topic="temperature")  # not for the desk
    lab.send("news", "interlock open", topic="alarm/laser")
    lab.send("news", "chiller low", topic="alarm/water")

    wait_agent_attr(desk, "alarms", length=2)
    wait_agent_attr(everything, "count", value=4)
    print("plotted:", desk.plotted)
    for topic, message in desk.alarms:
        print(f"{topic}: {message}")
    print("archived:", everything.count)

    ns.shutdown()


if __name__ == "__main__":
    main()
