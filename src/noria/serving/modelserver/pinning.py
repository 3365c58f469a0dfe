"""Keep each prediction to the thread that makes it: the threads of the server are the parallelism.

Imports nothing heavy: the numeric libraries read these variables once, when they are loaded.
"""

from __future__ import annotations

from collections.abc import MutableMapping

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def pin_libraries(environ: MutableMapping[str, str]) -> None:
    """Tell numeric libraries that are not loaded yet to use one thread, unless the user chose a number."""
    for name in VARIABLES:
        environ.setdefault(name, "1")


def pin_thread() -> None:
    """Tell joblib, which keeps its settings by thread, not to spread what this thread computes."""
    import joblib

    joblib.parallel_config(backend="threading", n_jobs=1)
