"""The demonstration: a simulated laser, a stage and a power meter, behind real sockets, as instruments of a laboratory.

It is an example of how a program with agentlab is written, and it uses nothing that other programs cannot use.
"""
