from agentlab import CancelledCallError, ExpiredError, run_nameserver
from agentlab.instruments import run_instrument
from agentlab.testing import wait_condition

ns = run_nameserver()
stage = run_instrument(
    "stage",
    "agentlab.instruments.simulated:Stage",
    speed=20,
    poll={"position": 0.1},
    overrides={"position": {"max": 20}, "speed": {"step": 5, "delay": 0.01}},
)

position = stage["position"]  # a handle: for what is known of it, and for sweeps
print(position, "takes", position.info.limits_text())
reading = stage.get("position")
print(reading, "=", reading.value, reading.unit, reading.quality)

with stage.watch("position", timeout=5) as readings:
    numbers = [next(readings).sequence for _ in range(3)]
print("in order:", numbers[2] - numbers[0] == 2, "lost:", readings.lost)

stage.speed = 10  # from 20 in steps of 5: three numbers are sent
moving = stage.future.set("position", 20)  # takes 2 s; whoever asks with .future goes on
wait_condition(lambda: stage.status()["state"] == "busy")
print("meanwhile:", stage.status()["action"])
try:
    stage.timeout(0.2).set("speed", 5)
except ExpiredError:
    print("its turn did not come within 0.2 s, so it was not executed")
stage.cancel()
try:
    moving.result()
except CancelledCallError:
    print("cancelled on the way:", 0 < stage.position < 20)
print("speed:", stage.get("speed"))
ns.shutdown()
