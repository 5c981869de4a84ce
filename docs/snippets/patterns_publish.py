from agentlab import run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


def hear(agent, message, topic):
    agent.heard.append((topic, message))


ns = run_nameserver()
station = run_agent("Station")
radio = run_agent("Radio", attributes={"heard": []})

address = station.bind("PUB", alias="air")
radio.connect(address, alias="air", handler={"weather": hear, "news.": hear})
station.wait_for_subscribers("air")

station.send("air", "sunny", topic="weather")
station.send("air", "1 : 0", topic="sports")
station.send("air", "nothing new", topic="news.local")
wait_agent_attr(radio, "heard", length=2)

radio.subscribe("air", {"sports": hear})
radio.unsubscribe("air", ["weather", "news."])
station.wait_for_subscribers("air", topic="sports")

station.send("air", "2 : 0", topic="sports")
wait_agent_attr(radio, "heard", length=3)
for topic, message in radio.heard:
    print(f"{topic}: {message}")

ns.shutdown()
