"""100,000 points of one metric as W&B logs them offline. Prints the seconds of the calls and of the end as JSON."""

from __future__ import annotations

import json
import time

import wandb

run = wandb.init(project="bench", mode="offline")
started = time.perf_counter()
for step in range(100_000):
    run.log({"loss": step * 0.001}, step=step)
run.finish()
print("\n" + json.dumps({"seconds": time.perf_counter() - started}))
