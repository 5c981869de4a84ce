"""Hello world: start a name server and an agent, and have the agent say something.

The agent is a process of its own. What `run_agent` gives is a proxy: calling its methods calls the agent's.
"""

from agentlab import run_agent, run_nameserver


def main():
    ns = run_nameserver()
    laser = run_agent("Laser")

    laser.log_info("Hello world!")

    ns.shutdown()  # every agent first, then the name server


if __name__ == "__main__":
    main()
