"""ZeroMQ and its security: the only floor that imports zmq. One thread owns a socket; see :mod:`agentlab.agent`."""
