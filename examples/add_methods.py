"""Adding methods: functions of this script become methods of an agent that runs already.

`execute_as_method` and `execute_as_function` run one once, without adding it.
"""

from agentlab import run_agent, run_nameserver


def shine(agent, power):
    agent.power = power
    return f"{agent.name} shines with {power} mW"


def energy(agent, seconds):
    return agent.power * seconds


def main():
    ns = run_nameserver()
    laser = run_agent("Laser")

    laser.set_method(shine, energy, off=lambda agent: agent.shine(0))
    print(laser.shine(1.5))
    print("energy:", laser.energy(2), "mJ")
    print(laser.off())

    print("once, as a method:", laser.execute_as_method(lambda agent, unit: f"{agent.power} {unit}", "mW"))
    print("once, as a function:", laser.execute_as_function(sum, [1, 2, 3]))

    ns.shutdown()


if __name__ == "__main__":
    main()
