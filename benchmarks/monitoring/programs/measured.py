"""What each program of this folder does: read two tables, compare them once under the clock, print one line of JSON.

The tables are read into what the tool works on, and its modules imported, before the clock starts.
"""

import json
import resource
import time


def measured(compare):
    """Run the comparison, which gives the number of columns it calls drifted, and print what it took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu_began = time.perf_counter(), time.process_time()
    n_drifted = compare()
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"wall_s": wall_s, "cpu_s": cpu_s, "n_drifted": int(n_drifted)}
    print(json.dumps({**found, "before_mb": before / 1024, "peak_mb": peak / 1024}))
