"""100,000 points of one metric as trackio logs them. Prints the seconds of the calls and of the end as JSON."""

from __future__ import annotations

import json
import time

import trackio

trackio.init(project="bench", embed=False)
started = time.perf_counter()
for step in range(100_000):
    trackio.log({"loss": step * 0.001}, step=step)
trackio.finish()
print("\n" + json.dumps({"seconds": time.perf_counter() - started}))
