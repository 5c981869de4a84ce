from agentlab import Agent, DeadlockError, Proxy, run_agent, run_nameserver


class Player(Agent):
    def ask_own_proxy(self):
        return Proxy(self.name).score()

    def ask(self, other):
        return Proxy(other).ask_back(self.name)

    def ask_back(self, first):
        return Proxy(first).score()

    def ask_back_unsafe(self, first):
        return Proxy(first).unsafe.score()

    def score(self):
        return 7


ns = run_nameserver()
alice, bob = run_agent("Alice", base=Player), run_agent("Bob", base=Player)

print("itself:", alice.ask_own_proxy())
try:
    alice.ask("Bob")
except DeadlockError as error:
    print("a circle:", error)
print("unsafe:", bob.ask_back_unsafe("Alice"))

ns.shutdown()
