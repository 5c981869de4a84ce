"""Logging: agents say things to the console, or to a Logger agent that collects them by level.

Each line has the time in UTC and the agent's name. Debug lines are said only when the agent's `_DEBUG` is set.
"""

from agentlab import run_agent, run_logger, run_nameserver
from agentlab.testing import wait_condition


def main():
    ns = run_nameserver()
    laser, meter = run_agent("Laser"), run_agent("Meter")

    laser.log_info("warming up")  # to the console
    laser.log_debug("not shown")
    laser.set_attr(_DEBUG=True)
    laser.log_debug("shown")

    logger = run_logger("Logger")
    laser.set_logger(logger)
    meter.set_logger(logger)
    laser.log_info("shining")
    laser.log_warning("the chiller is warm")
    meter.log_error("no light")
    wait_condition(lambda: sum(len(lines) for lines in logger.log_history.values()) == 3)

    for level in ("INFO", "WARNING", "ERROR"):
        for line in logger.log_history[level]:
            print(level, line)

    ns.shutdown()


if __name__ == "__main__":
    main()
