import time

from agentlab import run_agent, run_nameserver


def log_message(agent, message):
    agent.log_info(f"Received: {message}")


def reply(agent, message):
    yield f"Received {message}"
    agent.set_attr(already_sent=True)


if __name__ == "__main__":
    ns = run_nameserver()
    alice = run_agent("Alice")
    bob = run_agent("Bob")

    addr = alice.bind("PUSH", alias="main")
    bob.connect(addr, handler=log_message)
    alice.each(0.05, lambda agent: agent.send("main", "Hello"), alias="hello")
    time.sleep(0.2)
    alice.stop_timer("hello")

    addr = alice.bind("REP", alias="question", handler=reply)
    bob.connect(addr, alias="question")
    bob.send("question", "Hi?")
    print(bob.recv("question"))

    ns.shutdown()
