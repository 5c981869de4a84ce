"""Pub-sub: one agent publishes, and every subscriber gets each publication.

A publication goes to those who are there: `wait_for_subscribers` waits for them, so that the first one is not lost.
"""

from agentlab import run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


def keep(agent, message):
    agent.seen.append(message)


def main():
    ns = run_nameserver()
    camera = run_agent("Camera")
    address = camera.bind("PUB", alias="frames")

    display = run_agent("Display", attributes={"seen": []})
    archive = run_agent("Archive", attributes={"seen": []})
    for subscriber in (display, archive):
        subscriber.connect(address, handler=keep)
    camera.wait_for_subscribers("frames", 2)

    for number in range(3):
        camera.send("frames", f"frame {number}")

    for subscriber in (display, archive):
        wait_agent_attr(subscriber, "seen", length=3)
    print("display:", display.seen)
    print("archive:", archive.seen)

    ns.shutdown()


if __name__ == "__main__":
    main()
