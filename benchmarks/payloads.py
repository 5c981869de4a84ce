"""What is sent: the same by both sides."""

from __future__ import annotations

import numpy as np

RAW = b"0123456789abcdef"
READING = {"channel": 3, "name": "power", "value": 1.25e-3, "unit": "W"}
ARRAY = np.arange(131072, dtype=np.float64)  # 1 MiB
BATCH = 1000
TOPICS = [f"power/{number:02d}" for number in range(100)]
