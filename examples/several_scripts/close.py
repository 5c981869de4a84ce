"""The third script: shuts the laboratory down."""

from agentlab import NSProxy


def main():
    ns = NSProxy()
    print("shutting down:", ns.agents())
    ns.shutdown()


if __name__ == "__main__":
    main()
