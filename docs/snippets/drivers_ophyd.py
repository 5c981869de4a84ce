from agentlab import CancelledCallError, run_nameserver
from agentlab.instruments import run_instrument
from agentlab.testing import wait_condition

ns = run_nameserver()
motor = run_instrument("motor", "ophyd_async.sim:SimMotor", name="motor", instant=False)

print(list(motor))
moving = motor.future.call("set", 10.0)  # set() is the proxy's own, so the motor's is called by its name
wait_condition(lambda: motor.status()["state"] == "busy")
motor.cancel()  # stops the motor
try:
    moving.result()
except CancelledCallError:
    print("stopped before 10 mm:", motor.user_readback < 10, motor["user_readback"].unit)
ns.shutdown()
