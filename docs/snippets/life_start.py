from agentlab import Agent, AgentProcess, AgentStartError, run_agent, run_nameserver


class Camera(Agent):
    def on_init(self):
        raise ConnectionError("no camera is plugged in")


ns = run_nameserver()

try:
    run_agent("Camera", base=Camera)
except AgentStartError as error:
    print(str(error).splitlines()[0])
print(ns.agents())

process = AgentProcess("Alice")
print(process.start(), process.is_alive(), process.proxy().is_running())
process.proxy().run()
print(process.proxy().is_running())

process.proxy().shutdown()
process.join()
print(process.exitcode, ns.agents())

ns.shutdown()
