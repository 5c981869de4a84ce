from agentlab import run_nameserver
from agentlab.instruments import run_instrument, sweep
from agentlab.instruments.simulated import run_simulated

ns = run_nameserver()
with run_simulated(["laser", "stage", "meter"]) as bench:  # SCPI devices behind TCP sockets
    laser, stage, meter = (
        run_instrument(name, "agentlab.instruments:ScpiDevice", bench.addresses[name], parameters=bench.tables[name])
        for name in ("laser", "stage", "meter")
    )
    laser.power, laser.output, meter.full_scale = 0.9, True, 1  # mW
    run = sweep(stage["position"], [9 + 0.5 * i for i in range(15)], reads=[meter["power"]], name="beam")
    print(run)
    ns.shutdown()
