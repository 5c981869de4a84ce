from agentlab import run_nameserver
from agentlab.instruments import run_instrument

ns = run_nameserver()
supply = run_instrument("supply", "agentlab.instruments.simulated:PowerSupply")

supply.output = True
supply.voltage = 5
print(supply.get("measured_voltage"))
supply.voltage = "500 mV"
print(supply.get("measured_voltage"))

ns.shutdown()
