from agentlab import Agent, AgentStartError, run_agent, run_nameserver


class Stage(Agent):
    step = 0.1

    def move(self):
        return self.step


ns = run_nameserver()

print(run_agent("Coarse", base=Stage, attributes={"step": 5.0}).move())
for name in ("move", "host"):
    try:
        run_agent("Wrong", base=Stage, attributes={name: 1})
    except AgentStartError as error:
        print(str(error).splitlines()[0])

ns.shutdown()
