"""The demonstration: a simulated laser, a power meter and a scan, as three agents that take a spectrum together.

It is an example of how a program with agentlab is written, and it uses nothing that other programs cannot use.
"""
