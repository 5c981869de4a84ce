from agentlab.lab import Lab

lab = Lab.attach()  # the lab of lab.yml, which runs already
supply, meter = lab["supply"], lab["meter"]

supply.voltage = 2
reading = meter.get("power")
print("power:", reading)
print("in one piece:", type(reading.value).__name__, reading.unit, reading.quality)

with meter.watch("power", timeout=5) as readings:  # what it publishes, as it comes
    print("two more:", next(readings).unit, next(readings).unit)
