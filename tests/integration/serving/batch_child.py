"""A process that predicts a batch, to be killed: `python batch_child.py WORKSPACE INPUT OUTPUT WORKERS`."""

from __future__ import annotations

import sys

import noria

if __name__ == "__main__":
    workspace, source, output, workers = sys.argv[1:]
    with noria.open_workspace(noria.load_settings(workspace=workspace, environ={})) as opened:
        run = noria.predict(
            "points", source, output, key=["id"], chunk_rows=50, workers=int(workers), workspace=opened
        )
    sys.stdout.write(f"attempt {run.attempt}\n")
