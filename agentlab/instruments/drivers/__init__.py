"""Drivers of other libraries as this system sees them. None of the libraries is imported here.

Each module adapts the instances of one library: :mod:`~agentlab.instruments.drivers.pymeasure`,
:mod:`~agentlab.instruments.drivers.qcodes`, :mod:`~agentlab.instruments.drivers.ophyd`. The library comes in through the
class that the user names, so that an agent which holds none of its instruments never pays for it.
"""
