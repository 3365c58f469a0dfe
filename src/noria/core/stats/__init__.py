"""Statistics as pure functions: arrays in, values out; no I/O, no clock, and random generators are parameters.

Import from the modules (`noria.core.stats.tests`, `intervals`, `sequential`, ...): all but `student`, `means` and
`sequential_*` need NumPy and SciPy, which the server process must not load.
"""
