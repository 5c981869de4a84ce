from agentlab import run_agent, run_nameserver
from agentlab.testing import wait_condition


def work(agent, number):
    agent.done.append(number)


ns = run_nameserver()
source = run_agent("Source")
workers = [run_agent(f"Worker {n}", attributes={"done": []}) for n in (1, 2)]

address = source.bind("PUSH", alias="tasks")
for worker in workers:
    worker.connect(address, handler=work)

for number in range(100):
    source.send("tasks", number)

wait_condition(lambda: sum(len(worker.done) for worker in workers) == 100)
done = sorted(number for worker in workers for number in worker.done)
print(len(done), "tasks done, each once:", done == list(range(100)))

ns.shutdown()
