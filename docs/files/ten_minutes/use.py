from agentlab.lab import Lab

with Lab.attach("lab.yml") as lab:
    laser, recorder = lab["Laser"], lab["Recorder"]
    laser.wavelength = 1560.0
    print("wavelength:", laser.wavelength, "nm")
    print(f"mean power: {recorder.mean():.1f} mW")
