from agentlab import Agent, run_agent, run_nameserver


class Device(Agent):
    def read(self, channel):
        channels = {1: 0.5, 2: 0.7}
        return channels[channel]


ns = run_nameserver()
device = run_agent("Device", base=Device)

try:
    device.read(3)
except KeyError as error:
    print("type and message:", repr(error))
    print("raised at:", *[line for line in error.remote_traceback.splitlines() if "in read" in line])

print(device.read(1), device.is_running())
print("errors so far:", device.error_count())

ns.shutdown()
