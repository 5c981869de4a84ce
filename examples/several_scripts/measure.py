"""The second script: uses the agents that the first one started, whenever it did so."""

from agentlab import Proxy


def main():
    laser = Proxy("Laser", timeout=20.0).wait_for_running(timeout=20.0)
    meter = Proxy("Meter", timeout=20.0).wait_for_running(timeout=20.0)
    print(laser.shine(3.0))
    print(f"the meter reads {meter.read(laser.power)} mW")


if __name__ == "__main__":
    main()
