"""Statistics as pure functions: arrays in, values out; no I/O, no clock, and random generators are parameters.

Import from the modules (`noria.core.stats.tests`, `intervals`, `sequential`, ...): all but `student` and `means` need
NumPy and SciPy, which the server process must not load.
"""
