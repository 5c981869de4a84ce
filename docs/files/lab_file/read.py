from agentlab.lab import read_lab

lab = read_lab("lab.yml")
for name, agent in lab.agents.items():
    print(f"{name}: {agent.class_}, restart {agent.restart}")
for wire in lab.wires:
    print(f"{wire.kind}: {wire}")
