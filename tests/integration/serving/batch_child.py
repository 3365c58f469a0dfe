"""A process that predicts a batch, to be killed: `python batch_child.py WORKSPACE INPUT OUTPUT WORKERS [ROWS]`.

With a number of rows it kills itself without warning as soon as so many are done.
"""

from __future__ import annotations

import os
import signal
import sys

import noria

if __name__ == "__main__":
    workspace, source, output, workers, *killed_at = sys.argv[1:]

    def progress(n_done: int, _n_rows: int) -> None:
        """Die when it is time."""
        if killed_at and n_done >= int(killed_at[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    with noria.open_workspace(noria.load_settings(workspace=workspace, environ={})) as opened:
        run = noria.predict(
            "points",
            source,
            output,
            key=["id"],
            chunk_rows=50,
            workers=int(workers),
            workspace=opened,
            progress=progress,
        )
    sys.stdout.write(f"attempt {run.attempt}\n")
