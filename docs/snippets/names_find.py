from agentlab import NameTakenError, UnknownNameError, run_agent, run_nameserver

ns = run_nameserver()
for name in ("Laser 1", "Laser 2"):
    run_agent(name, tags=("light",))
run_agent("Meter")

print(ns.agents())
print(ns.agents(tag="light"))
print(sorted(ns.list(prefix="Laser")), sorted(ns.list(regex=".*2")))

meter = ns.registrations()["Meter"]
print(meter.metadata["class"], meter.lease, meter.uri == ns.lookup("Meter"))

try:
    ns.proxy("Metre", timeout=0.1)
except UnknownNameError as error:
    print(error)
try:
    ns.register("Meter", "PYRO:other@127.0.0.1:1234")
except NameTakenError as error:
    print("refused:", error)

ns.register("Printer", "PYRO:printer@127.0.0.1:1234")
print(ns.remove("Printer"))

for name, registration in ns.registrations().items():
    print(name, registration.metadata["tags"], registration.uri)

ns.shutdown()
