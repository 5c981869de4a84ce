import os

from agentlab import ConfigurationError, config, run_agent, run_nameserver

print(config["TRANSPORT"], config["LINGER"])

config["TRANSPORT"] = "tcp"
ns = run_nameserver()
alice = run_agent("Alice")
print(alice.bind("PUSH").transport)
ns.shutdown()

del config["TRANSPORT"]
os.environ["AGENTLAB_DEFAULT_LINGER"] = "0.5"
print(config["TRANSPORT"], config["LINGER"])

try:
    config["TRANSPORT"] = "pigeon"
except ConfigurationError as error:
    print(error)
