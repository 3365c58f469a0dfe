"""The counters of a stream take as much memory after millions of values as after thousands."""

from __future__ import annotations

import json
import subprocess
import sys

STREAM = """
import json
import sys

import msgspec
import numpy as np
import psutil

from noria.core.stats.counters import TableCounter
from noria.core.stats.profiles import profile_table

ROWS = 2_000
generator = np.random.default_rng(1)


def batch(number):
    # No text ever comes twice, and numbers wander off.
    texts = [f"{number:09d}-{row:06d}-of-a-stream-that-never-ends" for row in range(ROWS)]
    return {"x": generator.normal(number, 1.0, ROWS), "text": np.array(texts, dtype=object)}


counter = TableCounter(profile_table(batch(0)))
told = []
for number in range(int(sys.argv[2])):
    counter.update(batch(number))
    if number + 1 in (int(sys.argv[1]), int(sys.argv[2])):
        resident = psutil.Process().memory_info().rss
        told.append((counter.counts.n_rows, resident, len(msgspec.json.encode(counter.counts))))
print(json.dumps(told))
"""


def test_an_endless_stream_does_not_fill_the_memory() -> None:
    """Resident memory of the process that counts, while a million texts come that it has never met, and their size."""
    command = [sys.executable, "-c", STREAM, "50", "550"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    (n_few, few_bytes, few_size), (n_many, many_bytes, many_size) = json.loads(done.stdout)

    assert (n_few, n_many) == (100_000, 1_100_000)
    # To keep what came meanwhile would take some 90 MB.
    assert many_bytes - few_bytes < 15e6
    assert many_size < 1.2 * few_size
