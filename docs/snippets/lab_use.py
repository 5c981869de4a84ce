from agentlab import Proxy

laser = Proxy("Laser").wait_for_running()
print(laser.tune(1551.5))
print(laser.wavelength)
