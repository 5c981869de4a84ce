from agentlab import Agent, run_agent, run_nameserver


class Stage(Agent):
    def on_init(self):
        self.position = 0.0
        self.bind("REP", alias="move", handler=self.move)
        self.bind("REP", alias="home", handler=self.home)

    def move(self, target):
        if not 0 <= target <= 10:
            raise ValueError(f"{target} mm is out of range")
        self.position = target
        return self.position

    def home(self, _):
        yield "going home"
        self.position = 0.0


ns = run_nameserver()
stage = run_agent("Stage", base=Stage)
user = run_agent("User")
for alias in ("move", "home"):
    user.connect(stage.addr(alias), alias=alias)

user.send("move", 2.5)
print(user.recv("move"))

print(user.send_recv("move", 7.5))
try:
    user.send_recv("move", 11)
except ValueError as error:
    print("refused:", error)

print(user.send_recv("home", None))

ns.shutdown()
