"""100,000 points of one metric as Aim logs them. Prints the seconds of the calls and of the end as JSON."""

from __future__ import annotations

import json
import time

from aim import Run

run = Run(experiment="bench", system_tracking_interval=None, log_system_params=False)
started = time.perf_counter()
for step in range(100_000):
    run.track(step * 0.001, name="loss", step=step)
run.close()
print("\n" + json.dumps({"seconds": time.perf_counter() - started}))
