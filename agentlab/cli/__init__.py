"""The command line: ``agentlab``, or ``python -m agentlab``. One module for each verb."""
