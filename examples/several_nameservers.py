"""Several name servers: two laboratories side by side, whose agents may have the same names.

`nsaddr` says which one is meant. Without it the last one that was started in this program is.
"""

from agentlab import NSProxy, Proxy, run_agent, run_nameserver


def main():
    optics = run_nameserver()
    vacuum = run_nameserver()

    run_agent("Meter", nsaddr=optics.addr(), attributes={"reading": "1.5 mW"})
    run_agent("Meter", nsaddr=vacuum.addr(), attributes={"reading": "2e-9 mbar"})
    run_agent("Laser", nsaddr=optics.addr())

    print("optics:", optics.agents())
    print("vacuum:", vacuum.agents())
    print("meter of optics:", Proxy("Meter", nsaddr=optics.addr()).reading)
    print("meter of vacuum:", vacuum.proxy("Meter").reading)
    print("the default:", NSProxy().addr() == vacuum.addr())

    # Agents of both talk to each other: an address is good everywhere.
    meter, laser = vacuum.proxy("Meter"), optics.proxy("Laser")
    meter.bind("REP", alias="read", handler=lambda agent, _: agent.reading)
    laser.connect(meter.addr("read"), alias="vacuum")
    print("asked across:", laser.send_recv("vacuum", "pressure?"))

    vacuum.shutdown()
    print("still there:", optics.agents())
    optics.shutdown()


if __name__ == "__main__":
    main()
