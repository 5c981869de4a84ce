"""How fast agentlab is, as ratios against bare loops that are measured in the same run: ``python -m benchmarks``."""
